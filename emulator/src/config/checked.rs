//! The configuration, ready to use: nothing in it is missing or wrong. Pure.

use std::sync::Arc;

use lanyard_protocol::hub::host::HostPort;

use crate::dps::service::Pace;
use crate::events::store::Limits;
use crate::hub::token::TokenRules;
use crate::registry::device::RegisteredDevice;
use crate::registry::enrollment::{Group, Individual};
use crate::registry::terms::Allocation;
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
    pub devices: Vec<RegisteredDevice>,
}

/// A DPS instance.
#[derive(Debug)]
pub struct DpsConfig {
    /// `0ne…`.
    pub id_scope: String,
    /// The names of the linked hubs…
    pub hubs: Vec<Arc<str>>,
    /// …and how one is chosen, for enrollments that do not say it.
    pub allocation: Allocation,
    /// The enrollment groups.
    pub groups: Vec<Group>,
    /// Registration ids and individual enrollments.
    pub individuals: Vec<(String, Individual)>,
}
