//! The configuration, ready to use: nothing in it is missing or wrong. Pure.

use lanyard_protocol::hub::host::HostPort;

use crate::dps::enrollment::{Allocation, Attestation, Reprovisioning};
use crate::dps::service::Pace;
use crate::events::store::Limits;
use crate::hub::authentication::Authentication;
use crate::hub::token::TokenRules;
use crate::x509::certificate::Certificate;

/// The whole of it.
#[derive(Debug)]
pub struct Checked {
    /// The hubs.
    pub hubs: Vec<HubConfig>,
    /// The CA certificates, by name, and whether they are verified.
    pub certificates: Vec<(String, Certificate, bool)>,
    /// The DPS instances.
    pub dps: Vec<DpsConfig>,
    /// For the server's certificate.
    pub certificate_names: Vec<String>,
    /// The port that devices dial, when it is not the one that is listened on.
    pub hub_port: Option<u16>,
    /// For hub and DPS.
    pub tokens: TokenRules,
    /// Of DPS.
    pub pace: Pace,
    /// Refuses a certificate without an enrollment at CONNECT, instead of at the registration (ref §8.1).
    pub refuse_certificates_at_connect: bool,
    /// Of the messages kept.
    pub limits: Limits,
}

/// A hub.
#[derive(Debug)]
pub struct HubConfig {
    /// Under which devices know it.
    pub host: HostPort,
    /// Its registry.
    pub devices: Vec<DeviceConfig>,
}

/// A device of a hub.
#[derive(Debug)]
pub struct DeviceConfig {
    /// Case-sensitive.
    pub id: String,
    /// Authentication of the device.
    pub authentication: Authentication,
    /// Allows the device to connect.
    pub enabled: bool,
}

/// A DPS instance.
#[derive(Debug)]
pub struct DpsConfig {
    /// `0ne…`.
    pub id_scope: String,
    /// The linked hubs, by their place in [`Checked::hubs`]…
    pub hubs: Vec<usize>,
    /// …and how one is chosen, for enrollments that do not say it.
    pub allocation: Allocation,
    /// Names and terms.
    pub groups: Vec<(String, TermsConfig)>,
    /// Registration ids, device ids and terms.
    pub individuals: Vec<(String, Option<String>, TermsConfig)>,
}

/// Common settings of groups and individual enrollments; hubs are indices into [`Checked::hubs`].
#[derive(Debug)]
pub struct TermsConfig {
    /// Attestation of the devices.
    pub attestation: Attestation,
    /// Allows devices to register.
    pub enabled: bool,
    /// Policy that chooses the hub…
    pub allocation: Allocation,
    /// …among these.
    pub hubs: Vec<usize>,
    /// Policy for devices that register again.
    pub reprovisioning: Reprovisioning,
}

/// Returns the settings with hubs in place of their indices.
#[must_use]
pub fn with_hubs(
    terms: TermsConfig,
    hubs: &[std::sync::Arc<crate::hub::registry::Hub>],
) -> crate::dps::enrollment::Terms {
    crate::dps::enrollment::Terms {
        attestation: terms.attestation,
        enabled: terms.enabled,
        allocation: terms.allocation,
        hubs: terms.hubs.iter().filter_map(|&at| hubs.get(at).cloned()).collect(),
        reprovisioning: terms.reprovisioning,
    }
}
