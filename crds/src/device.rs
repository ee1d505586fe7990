//! `IoTDevice`: one identity at one hub. Pure.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::buffer::Buffer;
use crate::certificate::{KeptCertificate, Leaf};
use crate::group::Dps;
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
        .message("metadata.name must not be longer than 63 characters; a longer device id can stand in spec.deviceId"),
    validation = kube::core::Rule::new(
        "(has(self.spec.deviceId) ? self.spec.deviceId : self.metadata.name) == (has(oldSelf.spec.deviceId) ? oldSelf.spec.deviceId : oldSelf.metadata.name)"
    )
    .message("deviceId cannot be changed: it is who the device is at the hub. Delete the object and create another one")
    .field_path(".spec.deviceId")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "[has(self.groupRef), has(self.hub), has(self.dps)].filter(set, set).size() == 1",
        "message": "set exactly one of groupRef (a ProvisioningGroup tells the hub), hub (straight to this one) and dps (an enrollment of its own)"
    },
    {
        "rule": "has(self.hub) || !has(self.deviceId) || self.deviceId.matches('^[A-Za-z0-9._:-]*[A-Za-z0-9-]$')",
        "message": "DPS registers no such deviceId: use ASCII letters, digits and - . _ : and end with a letter, a digit or -",
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
        "rule": "!has(self.deviceId) || size(self.deviceId) <= 64 || !((has(self.hub) && has(self.hub.auth.selfSigned)) || (has(self.dps) && has(self.dps.auth.selfSigned)))",
        "message": "a certificate has room for 64 characters: deviceId must not be longer with selfSigned",
        "fieldPath": ".deviceId"
    }
]))]
pub struct IoTDeviceSpec {
    /// Who the device is at the hub; metadata.name unless it is set. It cannot be changed. At most 128 ASCII letters,
    /// digits and `- : . + % _ # * ? ! ( ) , = @ ; $ '`; in a group letters, digits and `- . _ :` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "device_id")]
    pub device_id: Option<String>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 148))]
    pub display_name: Option<String>,
    /// The model that the device announces to DPS and to the hub, such as `dtmi:contoso:Press;1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "model_id")]
    pub model_id: Option<String>,
    /// Whether the device may have credentials. Read only where the group's `approval` is `Manual`, and only until the
    /// device has some: taking it back does not take the device away from its hub. `blocked` does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approved: bool,
    /// Take the device away from the hub: its agent is stopped and its credentials Secret deleted, until it is unblocked.
    /// It then returns to the state before, `status.stateBeforeBlock`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// The ProvisioningGroup it belongs to, in the same namespace: DPS tells it its hub. Exactly one of groupRef, hub and dps is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_ref: Option<GroupReference>,
    /// The hub it connects to without asking DPS. Exactly one of groupRef, hub and dps is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<Hub>,
    /// The individual enrollment that it has at DPS: DPS tells it its hub. Exactly one of groupRef, hub and dps is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dps: Option<IndividualEnrollment>,
    /// Where its credentials are written.
    ///
    /// The Secret has the keys `sharedAccessKey` (base64), or `tls.crt` and `tls.key`, and `deviceId`; for a device with hub
    /// also `hostname` and, with a key, `connectionString`; for one that asks DPS `dpsEndpoint` and `idScope`; and `ca.crt`
    /// where trustedCA is set. While a new credential is not proven at the hub yet, the one before is there too, as
    /// `previousSharedAccessKey`, or `previous.crt` and `previous.key`. Other software may use it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Where tags are read. Replaces the group's sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sources: Option<Vec<Source>>,
    /// What is read. Replaces the group's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tags: Option<Vec<Tag>>,
    /// How it is sent. Replaces the group's telemetry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// What is kept until the hub has it, and on which volume. Replaces the group's buffer, its storage included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<Buffer>,
    /// What the hub sends when the device is gone without a word. Replaces the group's lastWill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_will: Option<LastWill>,
    /// Where and with how much its agent runs. Replaces the group's agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
}

/// A device's id at a hub.
fn device_id(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "x-kubernetes-validations": [{
            "rule": "self.matches(\"^[A-Za-z0-9:.+%_#*?!(),=@;$'-]+$\")",
            "message": "a hub takes only ASCII letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ ' in a device id"
        }]
    })
}

/// A model's identifier, as the Digital Twins Definition Language has it.
pub(crate) fn model_id(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "maxLength": 2048,
    "x-kubernetes-validations": [{
            "rule": "self.matches('^dtmi:[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?(?::[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?)*;[1-9][0-9]{0,8}(?:\\\\.[1-9][0-9]{0,5})?$')",
            "message": "write a model identifier such as dtmi:contoso:Press;1"
        }]
    })
}

/// A ProvisioningGroup in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupReference {
    /// Name of the ProvisioningGroup.
    #[schemars(schema_with = "object_name")]
    pub name: String,
}

/// A hub, and how the device proves there who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hub {
    /// The hub's name, such as `contoso.azure-devices.net`, with a port if it is not 8883. The name cannot be changed.
    #[schemars(schema_with = "hub_hostname")]
    pub hostname: String,
    /// An IoT Edge gateway to connect to instead; the hub keeps its name in user name and token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "host_port")]
    pub gateway_hostname: Option<String>,
    /// Trusted besides the public roots, for the hub or the gateway.
    #[serde(rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    pub trusted_ca: Option<TrustedCa>,
    /// How the device proves who it is.
    pub auth: Auth,
}

/// A hub's name with an optional port. The name is a part of the device's identity.
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

/// A host name with an optional port.
pub(crate) fn host_port(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "maxLength": 259,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[A-Za-z0-9_-]{1,63}(\\\\.[A-Za-z0-9_-]{1,63})*(:[0-9]{1,5})?$')",
            "message": "use a host name such as contoso.azure-devices.net, with a port if it is not 8883, and without a scheme or a path"
        }, {
            "rule": "!self.matches('^[^:]+:[0-9]{1,5}$') || (int(self.substring(self.indexOf(':') + 1)) >= 1 && int(self.substring(self.indexOf(':') + 1)) <= 65535)",
            "message": "a port is a number from 1 to 65535"
        }]
    })
}

/// An individual enrollment at DPS, and how the device proves there who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.registrationId) ? self.registrationId : '') == (has(oldSelf.registrationId) ? oldSelf.registrationId : '')",
    "message": "registrationId cannot be changed: it is a part of the device's identity. Delete the object and create another one",
    "fieldPath": ".registrationId"
}]))]
pub struct IndividualEnrollment {
    /// The service.
    #[serde(flatten)]
    pub service: Dps,
    /// The enrollment's registration id; the device id unless it is set. It cannot be changed. The id at the hub is the one that the enrollment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "registration_id")]
    pub registration_id: Option<String>,
    /// How the device proves who it is.
    pub auth: Auth,
}

/// The name of an enrollment.
fn registration_id(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[A-Za-z0-9._:-]*[A-Za-z0-9-]$')",
            "message": "DPS takes ASCII letters, digits and - . _ : in a registration id, with a letter, a digit or - at its end"
        }]
    })
}

/// How a device proves to a hub or to DPS who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.symmetricKey), has(self.selfSigned), has(self.certificate)].filter(set, set).size() == 1",
    "message": "set exactly one of symmetricKey (a key from a Secret), selfSigned (a certificate that the operator makes) and certificate (one that something else keeps)"
}]))]
pub struct Auth {
    /// With a key of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<DeviceKey>,
    /// With a certificate that the operator makes and renews. Register the thumbprints of `status.credentials` at the hub.
    /// `selfSigned: {}` is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<Leaf>,
    /// With a certificate that something else keeps, such as cert-manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<KeptCertificate>,
}

/// A device's own key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceKey {
    /// The Secret that holds it, as `connectionString` (`HostName=…;DeviceId=…;SharedAccessKey=…`) or as `primaryKey`. Its owner
    /// may limit it to this use by the label `lanyard.dev/use: device-key` or the type `lanyard.dev/device-key`, which it needs
    /// when it has a `secondaryKey` too; and limit where the key goes by `hostname`, `gatewayHostname`, `deviceId`, `idScope` and
    /// `endpoint` beside it.
    pub secret_ref: SecretReference,
}

/// Where a device's credentials are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Name of the Secret, which the operator makes and owns: `<metadata.name>-credentials` unless it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_name")]
    pub secret_name: Option<String>,
}

impl IoTDevice {
    /// The device's id at the hub.
    #[must_use]
    pub fn device_id(&self) -> &str {
        self.spec.device_id.as_deref().or(self.metadata.name.as_deref()).unwrap_or_default()
    }
}
