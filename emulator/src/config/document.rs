//! The configuration as people write it, in YAML or JSON, with the field names of Azure's REST API (ref §11.1, §11.5).
//! Everything may be missing here: what must be there is checked later, all of it at once. Pure.

use serde::Deserialize;
use zeroize::Zeroizing;

/// The whole document.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Document {
    /// The hubs.
    pub hubs: Vec<Hub>,
    /// The DPS instances.
    pub dps: Vec<Dps>,
    /// What Azure has no field for.
    pub emulator: Emulator,
}

/// A hub.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hub {
    /// Under which devices know it.
    pub host_name: Option<String>,
    /// Its registry.
    pub devices: Vec<Device>,
}

/// A device of a hub (ref §11.1).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    /// Case-sensitive.
    pub device_id: Option<String>,
    /// `enabled` (default) or `disabled`.
    pub status: Option<String>,
    /// How it proves itself.
    pub authentication: Option<Authentication>,
}

/// How a device of a hub proves itself.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authentication {
    /// `sas` (default).
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its keys.
    pub symmetric_key: Option<SymmetricKey>,
}

/// Two keys, written here or in files.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SymmetricKey {
    /// Base64.
    pub primary_key: Option<Zeroizing<String>>,
    /// A file with it, seen from the configuration file.
    pub primary_key_file: Option<String>,
    /// Base64.
    pub secondary_key: Option<Zeroizing<String>>,
    /// A file with it, seen from the configuration file.
    pub secondary_key_file: Option<String>,
}

/// A DPS instance.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dps {
    /// `0ne…`.
    pub id_scope: Option<String>,
    /// Under which devices dial it; only the certificate needs to know.
    pub host_name: Option<String>,
    /// The hubs linked to it; all of the document when they are not named.
    pub iot_hubs: Option<Vec<String>>,
    /// `hashed` (default) or `static`, for enrollments that do not say it.
    pub allocation_policy: Option<String>,
    /// Many devices each.
    pub enrollment_groups: Vec<EnrollmentGroup>,
    /// One device each.
    pub enrollments: Vec<Enrollment>,
}

/// An enrollment group (ref §11.5).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnrollmentGroup {
    /// Its name.
    pub enrollment_group_id: Option<String>,
    /// How its devices prove themselves.
    pub attestation: Option<Attestation>,
    /// `enabled` (default) or `disabled`.
    pub provisioning_status: Option<String>,
    /// `hashed` or `static`.
    pub allocation_policy: Option<String>,
    /// The hubs to choose from; those of the instance when they are not named.
    pub iot_hubs: Option<Vec<String>>,
    /// For devices that register again.
    pub reprovision_policy: Option<ReprovisionPolicy>,
}

/// An individual enrollment (ref §11.5).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Enrollment {
    /// Compared without case.
    pub registration_id: Option<String>,
    /// The id at the hub, when it differs.
    pub device_id: Option<String>,
    /// How it proves itself.
    pub attestation: Option<Attestation>,
    /// `enabled` (default) or `disabled`.
    pub provisioning_status: Option<String>,
    /// `hashed` or `static`.
    pub allocation_policy: Option<String>,
    /// The hubs to choose from; those of the instance when they are not named.
    pub iot_hubs: Option<Vec<String>>,
    /// When it registers again.
    pub reprovision_policy: Option<ReprovisionPolicy>,
}

/// How an enrollment's devices prove themselves.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attestation {
    /// `symmetricKey`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The keys.
    pub symmetric_key: Option<SymmetricKey>,
}

/// Ref §9.4.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReprovisionPolicy {
    /// Whether a device may move.
    pub update_hub_assignment: bool,
    /// Whether its data moves along.
    pub migrate_device_data: bool,
}

impl Default for ReprovisionPolicy {
    fn default() -> Self {
        Self { update_hub_assignment: true, migrate_device_data: true }
    }
}

/// What Azure has no field for.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Emulator {
    /// How long after its end a token still opens a connection; 300 by default.
    pub sas_skew_seconds: Option<u32>,
    /// How long after its token's end an open connection is closed; 0 by default, 600 is like Azure.
    pub sas_enforce_delay_seconds: Option<u32>,
    /// How often a registering device must ask until it is told its hub; 1 by default.
    pub polls_until_assigned: Option<u32>,
    /// How long it is asked to wait in between; 1 by default.
    pub retry_after_seconds: Option<u32>,
    /// The port in the address of a hub that DPS assigns; the one that is listened on by default. 8883 is not written.
    pub assigned_hub_port: Option<u16>,
    /// More names for the server's certificate.
    pub certificate_names: Vec<String>,
    /// How many messages are kept to be looked at; 100000 by default.
    pub max_events: Option<u32>,
    /// How many bytes of them; 134217728 (128 MiB) by default.
    pub max_event_bytes: Option<u64>,
}
