//! The configuration as people write it, in YAML or JSON, with the field names of Azure's REST API (ref §11.1, §11.5).
//! Everything may be missing here: what must be there is checked later, all of it at once. Pure.

use serde::Deserialize;
use zeroize::Zeroizing;

/// The whole document.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Document {
    /// The hubs.
    pub hubs: Vec<HubEntry>,
    /// The CA certificates that hubs and DPS instances know.
    pub certificates: Vec<CaCertificate>,
    /// The DPS instances.
    pub dps: Vec<DpsEntry>,
    /// Settings for which Azure has no field.
    pub emulator: Emulator,
}

/// A hub.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HubEntry {
    /// Under which devices know it.
    pub host_name: Option<String>,
    /// Its registry.
    pub devices: Vec<DeviceEntry>,
}

/// A device of a hub (ref §11.1).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DeviceEntry {
    /// Case-sensitive.
    pub device_id: Option<String>,
    /// `enabled` (default) or `disabled`.
    pub status: Option<String>,
    /// AuthenticationEntry of the device.
    pub authentication: Option<AuthenticationEntry>,
}

/// AuthenticationEntry of a device at its hub (ref §9.5, §11.1).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AuthenticationEntry {
    /// `sas` (default), `selfSigned` or `certificateAuthority`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The keys, for `sas`.
    pub symmetric_key: Option<SymmetricKey>,
    /// The thumbprints, for `selfSigned`.
    pub x509_thumbprint: Option<X509Thumbprint>,
}

/// Hexadecimal digits of SHA-1 or SHA-256 (ref §9.5).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct X509Thumbprint {
    /// The first.
    pub primary_thumbprint: Option<String>,
    /// The second.
    pub secondary_thumbprint: Option<String>,
}

/// AttestationEntry of a device, or of all devices of a group, at DPS (ref §11.5).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AttestationEntry {
    /// `symmetricKey` or `x509`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The keys, for `symmetricKey`.
    pub symmetric_key: Option<SymmetricKey>,
    /// The certificates, for `x509`.
    pub x509: Option<X509>,
}

/// Certificates of an enrollment: exactly one of the three.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct X509 {
    /// Of an individual: its leafs.
    pub client_certificates: Option<SlotsEntry<X509Certificate>>,
    /// Of a group: its CAs.
    pub signing_certificates: Option<SlotsEntry<X509Certificate>>,
    /// Of a group: its CAs by their names under `certificates`.
    pub ca_references: Option<SlotsEntry<String>>,
}

/// Two of a kind; either counts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SlotsEntry<T> {
    /// The first.
    pub primary: Option<T>,
    /// The second.
    pub secondary: Option<T>,
}

impl<T> Default for SlotsEntry<T> {
    fn default() -> Self {
        Self { primary: None, secondary: None }
    }
}

/// A certificate, written here or in a file.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct X509Certificate {
    /// PEM, or base64 of DER.
    pub certificate: Option<Zeroizing<String>>,
    /// A file with it, seen from the configuration file.
    pub certificate_file: Option<String>,
    /// Read-only fields of Azure; ignored.
    pub info: Option<serde::de::IgnoredAny>,
}

/// A CA certificate that hubs and DPS instances know; `properties` as Azure's control plane writes them (ref §9.7).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CaCertificate {
    /// By which enrollment groups name it.
    pub name: Option<String>,
    /// Certificate and its state.
    pub properties: CaCertificateProperties,
}

/// Certificate of a CA and its state.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CaCertificateProperties {
    /// PEM, or base64 of DER.
    pub certificate: Option<Zeroizing<String>>,
    /// A file with it, seen from the configuration file.
    pub certificate_file: Option<String>,
    /// Counts without a proof of possession; `false` by default.
    pub is_verified: bool,
}

/// Two keys, written here or in files.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
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
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DpsEntry {
    /// `0ne…`.
    pub id_scope: Option<String>,
    /// Under which devices dial it; only the certificate needs to know.
    pub host_name: Option<String>,
    /// The hubs linked to it; all of the document when they are not named.
    pub iot_hubs: Option<Vec<String>>,
    /// `hashed` (default) or `static`, for enrollments that do not say it.
    pub allocation_policy: Option<String>,
    /// Many devices each.
    pub enrollment_groups: Vec<Enrollment>,
    /// One device each.
    pub enrollments: Vec<Enrollment>,
}

/// An enrollment group, or an individual enrollment (ref §11.5).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Enrollment {
    /// The group's name.
    pub enrollment_group_id: Option<String>,
    /// The individual's name; compared without case.
    pub registration_id: Option<String>,
    /// The individual's id at the hub, when it differs.
    pub device_id: Option<String>,
    /// AttestationEntry of the devices.
    pub attestation: Option<AttestationEntry>,
    /// `enabled` (default) or `disabled`.
    pub provisioning_status: Option<String>,
    /// `hashed` or `static`.
    pub allocation_policy: Option<String>,
    /// Hubs to assign; without the field, the hubs of the instance. With `[]`, DPS answers that there is no hub.
    pub iot_hubs: Option<Vec<String>>,
    /// For devices that register again.
    pub reprovision_policy: Option<ReprovisionPolicy>,
}

/// Ref §9.4.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ReprovisionPolicy {
    /// Allows a device to move to another hub.
    pub update_hub_assignment: bool,
    /// Moves the data of the device too.
    pub migrate_device_data: bool,
}

impl Default for ReprovisionPolicy {
    fn default() -> Self {
        Self { update_hub_assignment: true, migrate_device_data: true }
    }
}

/// Settings for which Azure has no field.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Emulator {
    /// Seconds after the expiry in which a token still opens a connection; 300 by default.
    pub sas_skew_seconds: Option<u32>,
    /// Seconds after the expiry of its token after which an open connection is closed; 0 by default. Azure uses 600.
    pub sas_enforce_delay_seconds: Option<u32>,
    /// Number of polls until a registering device learns its hub; 1 by default.
    pub polls_until_assigned: Option<u32>,
    /// Seconds between two polls; 1 by default.
    pub retry_after_seconds: Option<u32>,
    /// The port in the address of a hub that DPS assigns; the one that is listened on by default. 8883 is not written.
    pub assigned_hub_port: Option<u16>,
    /// Refuses a certificate without an enrollment at CONNECT; by default the registration is refused (ref §8.1).
    pub refuse_certificates_at_connect: bool,
    /// More names for the server's certificate.
    pub certificate_names: Vec<String>,
    /// Maximum number of stored messages; 100000 by default.
    pub max_events: Option<u32>,
    /// Maximum size of stored messages in bytes; 134217728 (128 MiB) by default.
    pub max_event_bytes: Option<u64>,
}
