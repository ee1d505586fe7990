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
    /// How far it is, in the words of IoT Central: `Registered` (known, and not at a hub yet), `WaitingForApproval` (its group's
    /// `approval` is `Manual`), `Provisioned` (it was at the hub in assignedHub), `Unassociated` (it has no template: neither
    /// tags nor a model) or `Blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning_state: Option<ProvisioningState>,
    /// The hub it belongs to, once it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<String>,
    /// The identities that the device has proven: a hub accepted its credential. Of several IoTDevices with one identity, in
    /// whatever namespaces, the one that has proven it keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimStatus>,
    /// The ProvisioningGroup that the device was admitted to. Another group with `approval: Manual` asks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted_to: Option<Admission>,
    /// Its credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsStatus>,
    /// Its connection to the hub, as its agent says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// The state to return to when it is unblocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_before_block: Option<ProvisioningState>,
    /// `Ready` (connected, with everything in order), `CredentialsReady`, `CredentialsExpiring` (less than a tenth of the
    /// certificate's life is left and no renewal is announced; only for certificates), `AgentReady`, `Connected`,
    /// `Reconciling` (the operator or the agent is at work) and `Stalled` (nothing goes on until somebody changes something;
    /// the message says what).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A new object is never current.
fn never() -> i64 {
    -1
}

/// The identities that a device has proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimStatus {
    /// `hub:<hostname>/<deviceId>` or `dps:<idScope>/<registrationId>`; with DPS both, the second one for the assigned hub.
    #[schemars(length(max = 2))]
    pub identities: Vec<String>,
    /// The time of the first proof. It begins again when the identity changes.
    pub since: Time,
    /// The uid of the object that proved it: a claim that was copied to another object counts for nothing.
    pub uid: String,
}

/// The ProvisioningGroup that a device was admitted to; both fields are empty while there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// Name of the group. `approved: true` counts for the group of this name only.
    #[serde(default)]
    pub name: String,
    /// Its uid. Without `approved`, another group of the same name asks again.
    #[serde(default)]
    pub uid: String,
}

/// How far a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ProvisioningState {
    /// Known, and not at a hub yet.
    Registered,
    /// It waits until somebody sets `approved`.
    WaitingForApproval,
    /// It was at its hub.
    Provisioned,
    /// It has no template: neither tags nor a model.
    Unassociated,
    /// It is blocked.
    Blocked,
}

/// A device's credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsStatus {
    /// The Secret that holds them.
    pub secret_name: String,
    /// What they are.
    pub kind: CredentialsKind,
    /// Which credential the Secret holds: a value that tells one from another and gives nothing away. For a certificate its
    /// SHA-256 thumbprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Which key of the group it is derived from, or which CA signed it: the fingerprint of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_fingerprint: Option<String>,
    /// Whether the device was at its hub with it: `Untried`, `Accepted` or `Refused`. After a refusal the device goes on with
    /// the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<CredentialsProof>,
    /// The certificate in the primary slot. Register the thumbprints of both slots where the hub knows the device by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<CertificateStatus>,
    /// The certificate in the secondary slot, from the first renewal on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<CertificateStatus>,
    /// The slot of the certificate in `tls.crt`: `Primary` or `Secondary`. Renewals take turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<crate::group::InUse>,
    /// When the certificate in `tls.crt` ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
    /// When the operator makes the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_at: Option<Time>,
}

/// Whether a credential is known to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CredentialsProof {
    /// No agent has tried it yet.
    Untried,
    /// The hub accepted it.
    Accepted,
    /// The hub or DPS refused it.
    Refused,
}

/// A certificate, in the words that Azure's portal asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// SHA-1 of the certificate: 40 hexadecimal digits, upper case, without separators.
    pub sha1_thumbprint: String,
    /// SHA-256 of the certificate: 64 hexadecimal digits.
    pub sha256_thumbprint: String,
    /// Its serial number, in hexadecimal digits.
    pub serial_number: String,
    /// When it ends.
    pub not_after: Time,
}

/// What credentials are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialsKind {
    /// A key to sign tokens with.
    #[default]
    SharedAccessKey,
    /// A certificate with its key.
    X509,
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
    /// How far the devices are with the key or CA in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollover: Option<RolloverStatus>,
    /// The answers to verification codes, by the CA they are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationStatus>,
    /// What became of the list of devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportStatus>,
    /// What was written out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<ExportStatus>,
    /// `Ready` (the group's key or CA can be used, and its lists are in order), `Imported` (every row of the list has its
    /// device; only with import), `Exported` (the list with credentials is current; only with export), `Reconciling` (the
    /// operator is at work) and `Stalled` (nothing goes on until somebody changes something; the message says what).
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
    /// Not at a hub yet.
    pub registered: u32,
    /// Waiting for `approved`.
    #[serde(default)]
    pub waiting_for_approval: u32,
    /// That were at their hub.
    pub provisioned: u32,
    /// Blocked.
    pub blocked: u32,
    /// Without a template.
    pub unassociated: u32,
    /// Connected now.
    pub connected: u32,
}

/// How far the devices of a group are with its key or CA in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloverStatus {
    /// The fingerprint of the key or CA in use; for a CA its SHA-256 thumbprint.
    pub issuer_fingerprint: String,
    /// Devices that were at their hub with a credential of it.
    pub moved: u32,
    /// Devices that have such a credential and were not at their hub with it yet. Devices with `agent.mode` `None` stay here:
    /// nobody in this cluster sees them connect.
    pub untried: u32,
    /// Devices that keep the one before until it is their turn.
    pub pending: u32,
    /// Devices that were refused with it and go on with the one before.
    pub refused: u32,
    /// Why, for the first ten of the refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

/// A device that was refused with its new credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Name of the IoTDevice.
    pub device: String,
    /// What the hub or DPS said, and what to do.
    pub message: String,
}

/// The answers to verification codes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationStatus {
    /// For `issuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Verification>,
    /// For `secondaryIssuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<Verification>,
}

/// The answer to one verification code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The code that is answered.
    pub code: String,
    /// The Secret that holds the certificate to upload, as `verification.crt`.
    pub secret_name: String,
}

/// What became of a list of devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportStatus {
    /// Rows of the list, without its header and blank lines.
    pub rows: u32,
    /// Rows that have their device.
    pub imported: u32,
    /// Rows that are wrong.
    pub failed: u32,
    /// Why, for the first twenty of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<ImportMistake>,
}

/// A row that cannot become a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportMistake {
    /// The line of the text where the row begins; the first is 1.
    pub line: u32,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What was written out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportStatus {
    /// The Secret that holds the list.
    pub secret_name: String,
    /// Devices in it.
    pub devices: u32,
}
