//! `IoTDevice`: one identity at one hub. Pure.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::buffer::Buffer;
use crate::certificate::{KeptCertificate, Leaf};
use crate::dps::{Dps, host_port};
use crate::refer::{SecretReference, TrustedCa, object_name};
use crate::status::IoTDeviceStatus;
use crate::stream::{LastWill, Source, Tag, Telemetry};

/// A device at an Azure IoT Hub or in an IoT Central application: its credential and the agent that streams its tags.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "lanyard.dev",
    version = "v1alpha1",
    kind = "IoTDevice",
    namespaced,
    shortname = "iotd",
    category = "lanyard",
    status = "IoTDeviceStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A device at an Azure IoT Hub or in an IoT Central application: its credential and the agent that streams its tags.",
    selectable = ".spec.groupRef.name",
    printcolumn(name = "Group", type_ = "string", json_path = ".spec.groupRef.name"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.provisioningState"),
    printcolumn(name = "Connection", type_ = "string", json_path = ".status.connection.state"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Device Id", type_ = "string", json_path = ".status.deviceId", priority = 1),
    printcolumn(name = "Hub", type_ = "string", json_path = ".status.assignedHub", priority = 1),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.connection.since", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    validation = kube::core::Rule::new("size(self.metadata.name) <= 63")
        .message("metadata.name must not be longer than 63 characters; a longer device id can be in spec.deviceId"),
    validation = kube::core::Rule::new(
        "(has(self.spec.deviceId) ? self.spec.deviceId : self.metadata.name) == (has(oldSelf.spec.deviceId) ? \
            oldSelf.spec.deviceId : oldSelf.metadata.name)"
    )
    .message("deviceId cannot be changed: it identifies the device at the hub. Delete the object and create another one")
    .field_path(".spec.deviceId")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "[has(self.groupRef), has(self.hub), has(self.dps)].filter(set, set).size() == 1",
        "message": "set exactly one of groupRef (a ProvisioningGroup), hub (a hub without DPS) and dps (an individual enrollment)"
    },
    {
        "rule": "has(self.hub) || !has(self.deviceId) || self.deviceId.matches('^[A-Za-z0-9._:-]*[A-Za-z0-9-]$')",
        "message": "DPS does not accept this deviceId: use ASCII letters, digits and - . _ : and end with a letter, a digit or -",
        "fieldPath": ".deviceId"
    },
    {
        "rule": "!has(self.sources) || !has(self.tags) || self.tags.all(t, self.sources.exists(s, s.name == t.source))",
        "message": "a tag names a source that does not exist: the source of every tag must be the name of one of sources",
        "fieldPath": ".tags"
    },
    {
        "rule": "has(self.groupRef) || !has(self.tags) || size(self.tags) == 0 || has(self.sources)",
        "message": "tags need sources: a device without groupRef has no group to inherit them from",
        "fieldPath": ".tags"
    },
    {
        "rule": "!has(self.deviceId) || size(self.deviceId) <= 64 || !((has(self.hub) && \
            has(self.hub.auth.selfSigned)) || (has(self.dps) && has(self.dps.auth.selfSigned)))",
        "message": "deviceId must not be longer than 64 characters with selfSigned, because it is the common name of the certificate",
        "fieldPath": ".deviceId"
    }
]))]
pub struct IoTDeviceSpec {
    /// Id of the device at the hub. The default is metadata.name. Immutable. At most 128 ASCII letters, digits and `-
    /// : . + % _ # * ? ! ( ) , = @ ; $ '`; in a group, letters, digits and `- . _ :` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "device_id")]
    pub device_id: Option<String>,
    /// Name of the device for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 148))]
    pub display_name: Option<String>,
    /// Model id that the device announces to DPS and to the hub, such as `dtmi:contoso:Press;1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "model_id")]
    pub model_id: Option<String>,
    /// Approval of the device. It is read only if the group's `approval` is `Manual`, and only until the device has
    /// credentials: unsetting it later does not disconnect the device. Use `blocked` for that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approved: bool,
    /// Blocks the device: the operator removes its agent and its credentials Secret until you unset the field. The
    /// device then returns to its previous state, `status.stateBeforeBlock`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// ProvisioningGroup of the device, in the same namespace; DPS assigns the hub. Set exactly one of groupRef, hub
    /// and dps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_ref: Option<GroupReference>,
    /// Hub of the device, without DPS. Set exactly one of groupRef, hub and dps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<Box<Hub>>,
    /// Individual enrollment of the device; DPS assigns the hub. Set exactly one of groupRef, hub and dps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dps: Option<Box<IndividualEnrollment>>,
    /// Secret for the device's credentials.
    ///
    /// It contains `sharedAccessKey` (base64), or `tls.crt` and `tls.key`; `deviceId`; for a device with hub also
    /// `hostname` and, with a key, `connectionString`; for a device with DPS `dpsEndpoint` and `idScope`; and
    /// `ca.crt` if trustedCA is set. Until the hub has accepted a new credential, it also contains the previous one,
    /// as `previousSharedAccessKey`, or `previous.crt` and `previous.key`. Other software may use the Secret too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Sources of the tags. Replaces the group's sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sources: Option<Vec<Source>>,
    /// Tags to read. Replaces the group's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tags: Option<Vec<Tag>>,
    /// Format and timing of messages. Replaces the group's telemetry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Box<Telemetry>>,
    /// Buffer for events until the hub has acknowledged them. Replaces the group's buffer, including its storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<Box<Buffer>>,
    /// Message that the hub sends if the connection ends unexpectedly. Replaces the group's lastWill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_will: Option<Box<LastWill>>,
    /// Mode, placement and resources of the agent. Replaces the group's agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<Agent>>,
}

/// Returns the schema of a device's id at a hub.
fn device_id(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "x-kubernetes-validations": [{
            "rule": "self.matches(\"^[A-Za-z0-9:.+%_#*?!(),=@;$'-]+$\")",
            "message": "a hub accepts only ASCII letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ ' in a device id"
        }]
    })
}

/// Returns the schema of a model id of the Digital Twins Definition Language.
pub(crate) fn model_id(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "maxLength": 2048,
    "x-kubernetes-validations": [{
            "rule": "self.matches('^dtmi:[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?\
                (?::[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?)*;[1-9][0-9]{0,8}(?:\\\\.[1-9][0-9]{0,5})?$')",
            "message": "write a model identifier such as dtmi:contoso:Press;1"
        }]
    })
}

/// ProvisioningGroup in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupReference {
    /// Name of the ProvisioningGroup.
    #[schemars(schema_with = "object_name")]
    pub name: String,
}

/// Hub and authentication of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hub {
    /// Host name of the hub, such as `contoso.azure-devices.net`, with a port unless it is 8883. The name is
    /// immutable.
    #[schemars(schema_with = "hub_hostname")]
    pub hostname: String,
    /// IoT Edge gateway to connect to instead of the hub. User name and token still contain the hub's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "host_port")]
    pub gateway_hostname: Option<String>,
    /// CA certificates for the hub or the gateway, in addition to the public roots.
    #[serde(rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    pub trusted_ca: Option<TrustedCa>,
    /// Authentication of the device.
    pub auth: Auth,
}

/// Returns the schema of a hub's host name with an optional port. The name is part of the device's identity.
fn hub_hostname(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = host_port(generator);
    let rules = schema.get_mut("x-kubernetes-validations").and_then(|rules| rules.as_array_mut());
    rules.into_iter().for_each(|rules| {
        rules.push(serde_json::json!({
            "rule": "self.split(':')[0].lowerAscii() == oldSelf.split(':')[0].lowerAscii()",
            "message": "hub.hostname cannot be changed: it is a part of the device's identity. Delete the object and create another one"
        }));
    });
    schema
}

/// Individual enrollment at DPS, and authentication of the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.registrationId) ? self.registrationId : '') == (has(oldSelf.registrationId) ? oldSelf.registrationId : '')",
    "message": "registrationId cannot be changed: it is a part of the device's identity. Delete the object and create another one",
    "fieldPath": ".registrationId"
}]))]
pub struct IndividualEnrollment {
    /// Service with the enrollment.
    #[serde(flatten)]
    pub service: Dps,
    /// Registration id of the enrollment. The default is the device id. Immutable. The enrollment sets the id at the
    /// hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "registration_id")]
    pub registration_id: Option<String>,
    /// Authentication of the device.
    pub auth: Auth,
}

/// Returns the schema of the name of an enrollment.
fn registration_id(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[A-Za-z0-9._:-]*[A-Za-z0-9-]$')",
            "message": "DPS accepts only ASCII letters, digits and - . _ : in a registration id, with a letter, a digit or - at its end"
        }]
    })
}

/// Authentication of a device at a hub or DPS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.symmetricKey), has(self.selfSigned), has(self.certificate)].filter(set, set).size() == 1",
    "message": "set exactly one of symmetricKey (a key from a Secret), selfSigned (a certificate that the operator \
        issues) and certificate (one that another program maintains)"
}]))]
pub struct Auth {
    /// Authentication with the device's own key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<DeviceKey>,
    /// Authentication with a certificate that the operator issues and renews. Register the thumbprints of
    /// `status.credentials` at the hub. `selfSigned: {}` suffices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<Leaf>,
    /// Authentication with a certificate that another program maintains, such as cert-manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<KeptCertificate>,
}

/// Key of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceKey {
    /// Secret with the key, as `connectionString` (`HostName=…;DeviceId=…;SharedAccessKey=…`) or `primaryKey`. The
    /// owner of the Secret can declare this use with the label `lanyard.dev/use: device-key` or the type
    /// `lanyard.dev/device-key`; one of the two is required if the Secret also has a `secondaryKey`. To limit the
    /// destinations of the key, the owner can add `hostname`, `gatewayHostname`, `deviceId`, `idScope` and `endpoint`
    /// to the data of the Secret.
    pub secret_ref: SecretReference,
}

/// Secret for a device's credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Name of the Secret, which the operator creates and owns. The default is `<metadata.name>-credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_name")]
    pub secret_name: Option<String>,
}

impl IoTDevice {
    /// Returns the id of the device at the hub.
    #[must_use]
    pub fn device_id(&self) -> &str {
        self.spec.device_id.as_deref().or(self.metadata.name.as_deref()).unwrap_or_default()
    }
}
