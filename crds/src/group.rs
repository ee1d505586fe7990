//! `ProvisioningGroup`: an enrollment group of DPS and what its devices inherit. Pure.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::buffer::Buffer;
use crate::bulk::{Export, Import};
use crate::certificate::GroupCertificates;
use crate::device::{host_port, model_id};
use crate::refer::{SecretReference, TrustedCa};
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
    /// The Device Provisioning Service that tells the devices their hub.
    pub dps: Dps,
    /// How the devices prove to it that they belong to the group.
    pub attestation: Attestation,
    /// Whether a device needs `approved: true` before it gets credentials: `Manual`, or `Automatic` (the default), which asks
    /// nobody. Devices that have credentials keep them when it becomes `Manual`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// How devices move to another key or CA of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollover: Option<Rollover>,
    /// Devices that come from a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<Import>,
    /// A list of the devices with their credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// What the devices inherit. A field that a device sets replaces the group's whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// A Device Provisioning Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dps {
    /// The service's id scope, such as `0ne00ABCDEF`. It cannot be changed.
    #[schemars(length(min = 1, max = 128), extend("x-kubernetes-validations" = [{
        "rule": "self.matches('^[A-Za-z0-9]+$')",
        "message": "an id scope has letters and digits only, such as 0ne00ABCDEF: copy it from DPS or IoT Central"
    }, {
        "rule": "self == oldSelf",
        "message": "idScope cannot be changed: it is a part of the devices' identities. Delete the object and create another one"
    }]))]
    pub id_scope: String,
    /// Where the service is reached, with a port if it is not 8883.
    #[serde(default = "Dps::default_endpoint")]
    #[schemars(schema_with = "host_port")]
    pub endpoint: String,
    /// Trusted besides the public roots, for the service and for the hubs it assigns.
    #[serde(rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    pub trusted_ca: Option<TrustedCa>,
}

impl Dps {
    /// The one name of all services in the public cloud.
    fn default_endpoint() -> String {
        "global.azure-devices-provisioning.net".to_owned()
    }
}

/// How devices prove to DPS that they belong to the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.symmetricKey) != has(self.x509)",
    "message": "set exactly one of symmetricKey (keys derived from the group's key) and x509 (certificates signed by the group's CA)"
}]))]
pub struct Attestation {
    /// With keys derived from the group's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<GroupKey>,
    /// With certificates that the group's CA signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509: Option<GroupCertificates>,
}

/// Whether devices need somebody's consent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    /// They do not.
    #[default]
    Automatic,
    /// They wait until `approved` is set.
    Manual,
}

/// How devices move to another key or CA.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollover {
    /// How many devices get their new credential in a minute; 120 unless it is set. The rest keep the one they have. It stops
    /// by itself while three devices are refused with the new one, and goes on when that is mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60_000))]
    pub devices_per_minute: Option<u32>,
}

impl Rollover {
    /// Devices in a minute unless it is set: two a second, which the smallest hub and DPS take beside other work.
    pub const DEFAULT_DEVICES_PER_MINUTE: u32 = 120;
}

/// The group's key, which only the operator reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupKey {
    /// The Secret that holds the enrollment group's keys, as `primaryKey` and `secondaryKey`. Its owner may limit it to this use
    /// by the label `lanyard.dev/use: group-key` or the type `lanyard.dev/group-key`, and limit where keys go by `idScope` and
    /// `endpoint` beside them.
    pub secret_ref: SecretReference,
    /// Which of the two the devices' keys are derived from: `Primary` or `Secondary`. To exchange a key without a gap,
    /// change the one that is not used at DPS and in the Secret, then switch.
    #[serde(default, rename = "use")]
    pub in_use: InUse,
}

/// One of the two keys or CAs of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InUse {
    /// The first.
    #[default]
    Primary,
    /// The second.
    Secondary,
}

impl InUse {
    /// The key's name in the group's Secret.
    #[must_use]
    pub const fn secret_key(self) -> &'static str {
        match self {
            Self::Primary => "primaryKey",
            Self::Secondary => "secondaryKey",
        }
    }
}

/// What the devices of a group inherit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.sources) || !has(self.tags) || self.tags.all(t, self.sources.exists(s, s.name == t.source))",
    "message": "a tag names a source that does not exist: the source of every tag must be the name of one of sources",
    "fieldPath": ".tags"
}]))]
pub struct Template {
    /// The model that the devices announce to DPS and to the hub, such as `dtmi:contoso:Press;1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "model_id")]
    pub model_id: Option<String>,
    /// Where tags are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sources: Option<Vec<Source>>,
    /// What is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tags: Option<Vec<Tag>>,
    /// How it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// What is kept until the hub has it, and on which volume; with storage.claim every device has a claim of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<Buffer>,
    /// What the hub sends when a device is gone without a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_will: Option<LastWill>,
    /// Where and with how much the agents run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
}
