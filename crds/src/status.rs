//! Status of devices and groups. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Observed state of a device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IoTDeviceStatus {
    /// metadata.generation that this status describes; -1 before the first status.
    #[serde(default = "never")]
    pub observed_generation: i64,
    /// Id of the device at the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Provisioning state, with the terms of IoT Central: `Registered` (known, but not connected yet),
    /// `WaitingForApproval` (its group's `approval` is `Manual`), `Provisioned` (it has connected to the hub in
    /// assignedHub), `Unassociated` (it has neither tags nor a model) or `Blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning_state: Option<ProvisioningState>,
    /// Hub to which the device has connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<String>,
    /// Identities that the device has proven: a hub accepted its credential. If several IoTDevices have the same
    /// identity, in any namespaces, the one that has proven it keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimStatus>,
    /// ProvisioningGroup that admitted the device. Another group with `approval: Manual` needs a new approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted_to: Option<Admission>,
    /// Credentials of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsStatus>,
    /// Connection to the hub, as reported by the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// State to which the device returns when it is unblocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_before_block: Option<ProvisioningState>,
    /// `Ready` (connected, and everything is in order), `CredentialsReady`, `CredentialsExpiring` (for certificates:
    /// at most a tenth of the validity is left and no renewal is scheduled), `AgentReady`, `Connected`, `Reconciling`
    /// (the operator or the agent is still working) and `Stalled` (a user must change something; the message names
    /// it).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Returns -1, so that a new object is never current.
fn never() -> i64 {
    -1
}

/// Identities that a device has proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimStatus {
    /// `hub:<hostname>/<deviceId>` or `dps:<idScope>/<registrationId>`; with DPS both, the second one for the assigned hub.
    #[schemars(length(max = 2))]
    pub identities: Vec<String>,
    /// Time of the first proof. It is reset when the identity changes.
    pub since: Time,
    /// uid of the object that proved the identity. A claim that was copied to another object is ignored.
    pub uid: String,
}

/// ProvisioningGroup that admitted a device; both fields are empty if there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// Name of the group. `approved: true` applies to the group with this name only.
    #[serde(default)]
    pub name: String,
    /// uid of the group. Without `approved`, a new group with the same name needs a new approval.
    #[serde(default)]
    pub uid: String,
}

/// Provisioning state of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ProvisioningState {
    /// Known, and not connected yet.
    Registered,
    /// Waits for `approved: true`.
    WaitingForApproval,
    /// Has connected to its hub.
    Provisioned,
    /// Has neither tags nor a model.
    Unassociated,
    /// Is blocked.
    Blocked,
}

/// Credentials of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsStatus {
    /// Name of the Secret with the credentials.
    pub secret_name: String,
    /// Kind of the credentials.
    pub kind: CredentialsKind,
    /// Fingerprint of the credential in the Secret. It identifies the credential and reveals nothing about it. For a
    /// certificate, its SHA-256 thumbprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Fingerprint of the group's key from which the credential is derived, or of the CA that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_fingerprint: Option<String>,
    /// Result of the credential at the hub: `Untried`, `Accepted` or `Refused`. After a refusal the device continues
    /// with the previous credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<CredentialsProof>,
    /// Certificate in the primary slot. Register the thumbprints of both slots if the hub authenticates the device by
    /// thumbprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<CertificateStatus>,
    /// Certificate in the secondary slot, from the first renewal on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<CertificateStatus>,
    /// Slot of the certificate in `tls.crt`: `Primary` or `Secondary`. Renewals alternate between the slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<crate::slot::InUse>,
    /// Expiry of the certificate in `tls.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
    /// Time at which the operator issues the next certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_at: Option<Time>,
}

/// Result of a credential at the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CredentialsProof {
    /// The device has not connected with it yet.
    Untried,
    /// The hub accepted it.
    Accepted,
    /// The hub or DPS refused it.
    Refused,
}

/// Certificate, with the values that Azure's portal requires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// SHA-1 thumbprint: 40 hexadecimal digits, upper case, without separators.
    pub sha1_thumbprint: String,
    /// SHA-256 thumbprint: 64 hexadecimal digits.
    pub sha256_thumbprint: String,
    /// Serial number, in hexadecimal digits.
    pub serial_number: String,
    /// Expiry of the certificate.
    pub not_after: Time,
}

/// Kind of credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialsKind {
    /// Key that signs tokens.
    #[default]
    SharedAccessKey,
    /// Certificate with its private key.
    X509,
}

/// Connection of a device to its hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// `Connected` if the hub has accepted the device and the connection is open, `Disconnected` if not, `Unknown`
    /// while no agent answers.
    pub state: ConnectionState,
    /// Time of the last change of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Reason of the state, in CamelCase.
    pub reason: String,
    /// Details of the state for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Connection of a device to its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConnectionState {
    /// The hub has accepted the device and the connection is open.
    Connected,
    /// The device has no accepted connection.
    Disconnected,
    /// No agent answers.
    Unknown,
}

/// Observed state of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningGroupStatus {
    /// metadata.generation that this status describes; -1 before the first status.
    #[serde(default = "never")]
    pub observed_generation: i64,
    /// Number of devices that refer to the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<DeviceCounts>,
    /// Progress of the devices to the key or CA in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollover: Option<RolloverStatus>,
    /// Verification certificates, by CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationStatus>,
    /// Result of the imported list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportStatus>,
    /// State of the exported list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<ExportStatus>,
    /// `Ready` (the group's key or CA is usable, and its lists are in order), `Imported` (every row of the list has
    /// its device; only with import), `Exported` (the list with credentials is current; only with export),
    /// `Reconciling` (the operator is still working) and `Stalled` (a user must change something; the message names
    /// it).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Devices of a group, by provisioning state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceCounts {
    /// All devices that refer to the group.
    pub total: u32,
    /// Devices that have not connected yet.
    pub registered: u32,
    /// Devices that wait for `approved: true`.
    #[serde(default)]
    pub waiting_for_approval: u32,
    /// Devices that have connected to their hub.
    pub provisioned: u32,
    /// Blocked devices.
    pub blocked: u32,
    /// Devices that have neither tags nor a model.
    pub unassociated: u32,
    /// Devices that are connected now.
    pub connected: u32,
}

/// Progress of a group's devices to its key or CA in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloverStatus {
    /// Fingerprint of the key or CA in use; for a CA, its SHA-256 thumbprint.
    pub issuer_fingerprint: String,
    /// Devices that have connected to their hub with a credential of it.
    pub moved: u32,
    /// Devices that have the new credential and have not connected with it yet. Devices with `agent.mode` `None` stay
    /// here, because the operator cannot see their connections.
    pub untried: u32,
    /// Devices that keep their previous credential until their turn.
    pub pending: u32,
    /// Devices that were refused with it and continue with their previous credential.
    pub refused: u32,
    /// Reasons of the first ten refusals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

/// Device that was refused with its new credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Name of the IoTDevice.
    pub device: String,
    /// Answer of the hub or DPS, and the fix.
    pub message: String,
}

/// Verification certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationStatus {
    /// Certificate for `issuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Verification>,
    /// Certificate for `secondaryIssuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<Verification>,
}

/// Certificate for one verification code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Verification code.
    pub code: String,
    /// Name of the Secret with the certificate to upload, as `verification.crt`.
    pub secret_name: String,
}

/// Result of an imported list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportStatus {
    /// Rows of the list, without its header and blank lines.
    pub rows: u32,
    /// Rows that have their device.
    pub imported: u32,
    /// Rejected rows.
    pub failed: u32,
    /// Reasons of the first twenty rejected rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<ImportMistake>,
}

/// Rejected row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportMistake {
    /// Number of the line in which the row begins; the first line is 1.
    pub line: u32,
    /// Error of the row, and the fix.
    pub message: String,
}

/// State of an exported list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportStatus {
    /// Name of the Secret with the list.
    pub secret_name: String,
    /// Number of devices in the list.
    pub devices: u32,
}
