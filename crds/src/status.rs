//! What the operator answers: status of devices and groups. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator knows of a device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IoTDeviceStatus {
    /// The metadata.generation that this status answers; -1 before the first answer.
    #[serde(default = "never")]
    pub observed_generation: i64,
    /// The device's id at the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// How far it is: `Unassociated` (it has no credentials yet), `Registered` (it has credentials and was not at a hub yet),
    /// `Provisioned` (it was at the hub in assignedHub) or `Blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning_state: Option<ProvisioningState>,
    /// The hub it belongs to, once it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<String>,
    /// Its credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsStatus>,
    /// Its connection to the hub, as its agent says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// `Ready` (connected, with everything in order), `CredentialsReady`, `AgentReady`, `Connected`, `Reconciling` (the operator
    /// or the agent is at work) and `Stalled` (nothing goes on until somebody changes something; the message says what).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A new object is never current.
fn never() -> i64 {
    -1
}

/// How far a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ProvisioningState {
    /// It has no credentials yet.
    Unassociated,
    /// It has credentials and was not at a hub yet.
    Registered,
    /// It was at its hub.
    Provisioned,
    /// It is blocked.
    Blocked,
}

/// A device's credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsStatus {
    /// The Secret that holds them.
    pub secret_name: String,
    /// What they are.
    pub kind: CredentialsKind,
}

/// What credentials are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialsKind {
    /// A key to sign tokens with.
    SharedAccessKey,
}

/// A device's connection to its hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Whether the hub has accepted the device and it is still there; `Unknown` while no agent answers.
    pub state: ConnectionState,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why, in one word.
    pub reason: String,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Whether a device is at its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConnectionState {
    /// It is.
    Connected,
    /// It is not.
    Disconnected,
    /// No agent answers.
    Unknown,
}

/// What the operator knows of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningGroupStatus {
    /// The metadata.generation that this status answers; -1 before the first answer.
    #[serde(default = "never")]
    pub observed_generation: i64,
    /// How many devices refer to the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<DeviceCounts>,
    /// `Ready` (the group's key can be used), `Reconciling` and `Stalled` (the message says what to change).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How many devices of a group are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceCounts {
    /// All that refer to the group.
    pub total: u32,
    /// With credentials, not at a hub yet.
    pub registered: u32,
    /// That were at their hub.
    pub provisioned: u32,
    /// Blocked.
    pub blocked: u32,
    /// Without credentials.
    pub unassociated: u32,
    /// Connected now.
    pub connected: u32,
}
