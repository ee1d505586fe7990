//! The agent's configuration document: its devices, their tags, and their hubs. Pure.

use serde::{Deserialize, Serialize};

use crate::buffer::Buffer;
pub use crate::tag::{DataType, Deadband, Publish, Simulator, Source, Tag};
pub use crate::telemetry::{Format, InitialUpdate, LastWill, Telemetry};
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::{DeviceId, IdScope, RegistrationId};

/// Version of the document. Increase it when an older agent would misread a document.
pub const VERSION: u32 = 1;

/// File name of the document, in the ConfigMap and, by default, on a machine without Kubernetes.
pub const FILE_NAME: &str = "agent.yaml";

/// Configuration document of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentConfig {
    /// Version of the document, [`VERSION`].
    pub version: u32,
    /// Devices, at least one, with unique names.
    pub devices: Vec<Device>,
}

/// Device: one identity at one hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// Unique in the document: metric label, name in logs and in `/status`, and folder in the credentials directory.
    pub name: String,
    /// Id of the device at the hub.
    pub device_id: DeviceId,
    /// Kubernetes object of the device, for `/status`. Only an operator sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Model id that the device announces to DPS and to the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// Hub of the device, without DPS. Exactly one of `hub` and `dps` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Hub>,
    /// DPS instance that assigns the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dps: Option<Dps>,
    /// Sources of the tags.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// Tags to read.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Format and timing of messages.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Buffer for events until the hub acknowledges them.
    #[serde(default)]
    pub buffer: Buffer,
    /// Message that the hub sends if the connection ends unexpectedly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_will: Option<LastWill>,
}

/// Hub of a device that does not use DPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hub {
    /// `host` or `host:port`, 8883 by default.
    pub hostname: HostPort,
    /// Address to connect to instead of the hub; user name and token still contain the hub's name (ref §1.13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_hostname: Option<HostPort>,
}

/// A DPS instance that assigns the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dps {
    /// `host` or `host:port`, 8883 by default.
    pub endpoint: HostPort,
    /// The instance's id scope.
    pub id_scope: IdScope,
    /// Registration id. The default is the device id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<RegistrationId>,
}

impl AgentConfig {
    /// Returns the document as JSON, which is also YAML. Equal configurations give equal bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("string keys and finite numbers only");
        text.push('\n');
        text
    }
}
