//! `ProvisioningGroup`: an enrollment group of DPS, and the fields that its devices inherit. Pure.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::buffer::Buffer;
use crate::bulk::{Export, Import};
use crate::certificate::GroupCertificates;
use crate::device::model_id;
use crate::dps::Dps;
use crate::refer::SecretReference;
use crate::slot::InUse;
use crate::status::ProvisioningGroupStatus;
use crate::stream::{LastWill, Source, Tag, Telemetry};

/// An enrollment group of an Azure Device Provisioning Service, or of an IoT Central application, for many devices.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "lanyard.dev",
    version = "v1alpha1",
    kind = "ProvisioningGroup",
    namespaced,
    shortname = "provgrp",
    category = "lanyard",
    status = "ProvisioningGroupStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "An enrollment group of an Azure Device Provisioning Service, or of an IoT Central application, for many devices.",
    printcolumn(name = "Id Scope", type_ = "string", json_path = ".spec.dps.idScope"),
    printcolumn(name = "Devices", type_ = "integer", json_path = ".status.devices.total"),
    printcolumn(name = "Connected", type_ = "integer", json_path = ".status.devices.connected"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Key",
        type_ = "string",
        json_path = ".spec.attestation.symmetricKey.use",
        priority = 1
    ),
    printcolumn(
        name = "Registered",
        type_ = "integer",
        json_path = ".status.devices.registered",
        priority = 1
    ),
    printcolumn(
        name = "Provisioned",
        type_ = "integer",
        json_path = ".status.devices.provisioned",
        priority = 1
    ),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        json_path = ".status.devices.waitingForApproval",
        priority = 1
    ),
    printcolumn(name = "Blocked", type_ = "integer", json_path = ".status.devices.blocked", priority = 1),
    printcolumn(
        name = "Unassociated",
        type_ = "integer",
        json_path = ".status.devices.unassociated",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningGroupSpec {
    /// Device Provisioning Service that assigns hubs to the devices.
    pub dps: Dps,
    /// Proof that a device belongs to the group.
    pub attestation: Attestation,
    /// Approval of devices: with `Manual` a device needs `approved: true` before it gets credentials; with
    /// `Automatic` (the default) it does not. After a change to `Manual`, devices with credentials keep them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Move of the devices to another key or CA of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollover: Option<Rollover>,
    /// Import of devices from a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<Import>,
    /// Export of the devices with their credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// Fields that the devices inherit. A field that a device sets replaces the group's field completely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<DeviceTemplate>,
}

/// Proof to DPS that a device belongs to the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.symmetricKey) != has(self.x509)",
    "message": "set exactly one of symmetricKey (keys derived from the group's key) and x509 (certificates signed by the group's CA)"
}]))]
pub struct Attestation {
    /// Keys derived from the group's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<GroupKey>,
    /// Certificates signed by the group's CA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509: Option<GroupCertificates>,
}

/// Approval of devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    /// Devices need no approval.
    #[default]
    Automatic,
    /// Devices wait for `approved: true`.
    Manual,
}

/// Move of devices to another key or CA.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollover {
    /// Number of devices that get their new credential per minute. The default is 120. The other devices keep their
    /// credential. The rollover pauses after three devices were refused with the new credential, and continues when
    /// you have fixed the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60_000))]
    pub devices_per_minute: Option<u32>,
}

impl Rollover {
    /// Default of `devicesPerMinute`: two a second, which the smallest hub and DPS can serve beside other load.
    pub const DEFAULT_DEVICES_PER_MINUTE: u32 = 120;
}

/// Key of a group. Only the operator reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupKey {
    /// Secret with the enrollment group's keys, as `primaryKey` and `secondaryKey`. Its owner can declare this use
    /// with the label `lanyard.dev/use: group-key` or the type `lanyard.dev/group-key`, and limit the destinations of
    /// the keys with `idScope` and `endpoint` beside them.
    pub secret_ref: SecretReference,
    /// Key from which the devices' keys are derived: `Primary` or `Secondary`. To replace a key without an
    /// interruption, change the key that is not in use at DPS and in the Secret, then switch.
    #[serde(default, rename = "use")]
    pub in_use: InUse,
}

/// Fields that the devices of a group inherit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.sources) || !has(self.tags) || self.tags.all(t, self.sources.exists(s, s.name == t.source))",
    "message": "a tag names a source that does not exist: the source of every tag must be the name of one of sources",
    "fieldPath": ".tags"
}]))]
pub struct DeviceTemplate {
    /// Model id that the devices announce to DPS and to the hub, such as `dtmi:contoso:Press;1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "model_id")]
    pub model_id: Option<String>,
    /// Sources of the tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sources: Option<Vec<Source>>,
    /// Tags to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tags: Option<Vec<Tag>>,
    /// Format and timing of messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Box<Telemetry>>,
    /// Buffer for events until the hub has acknowledged them; with storage.claim every device has its own claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<Box<Buffer>>,
    /// Message that the hub sends if a connection ends unexpectedly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_will: Option<Box<LastWill>>,
    /// Mode, placement and resources of the agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<Agent>>,
}
