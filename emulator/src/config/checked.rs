//! The configuration, ready to use: nothing in it is missing or wrong. Pure.

use lanyard_protocol::hub::host::HostPort;

use crate::cloud::TokenRules;
use crate::dps::enrollment::{Allocation, Attestation, Reprovisioning};
use crate::dps::service::Pace;
use crate::events::store::Limits;
use crate::hub::authentication::Authentication;
use crate::x509::certificate::Certificate;

/// The whole of it.
#[derive(Debug)]
pub struct Checked {
    /// The hubs.
    pub hubs: Vec<Hub>,
    /// The CA certificates, by name, and whether they are verified.
    pub certificates: Vec<(String, Certificate, bool)>,
    /// The DPS instances.
    pub dps: Vec<Dps>,
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
pub struct Hub {
    /// Under which devices know it.
    pub host: HostPort,
    /// Its registry.
    pub devices: Vec<Device>,
}

/// A device of a hub.
#[derive(Debug)]
pub struct Device {
    /// Case-sensitive.
    pub id: String,
    /// Authentication of the device.
    pub authentication: Authentication,
    /// Allows the device to connect.
    pub enabled: bool,
}

/// A DPS instance.
#[derive(Debug)]
pub struct Dps {
    /// `0ne…`.
    pub id_scope: String,
    /// The linked hubs, by their place in [`Checked::hubs`]…
    pub hubs: Vec<usize>,
    /// …and how one is chosen, for enrollments that do not say it.
    pub allocation: Allocation,
    /// Names and terms.
    pub groups: Vec<(String, Terms)>,
    /// Registration ids, device ids and terms.
    pub individuals: Vec<(String, Option<String>, Terms)>,
}

/// Common settings of groups and individual enrollments; hubs are indices into [`Checked::hubs`].
#[derive(Debug)]
pub struct Terms {
    /// Attestation of the devices.
    pub attestation: Attestation,
    /// Allows devices to register.
    pub enabled: bool,
    /// Policy that chooses the hub…
    pub allocation: Allocation,
    /// …among these.
    pub hubs: Vec<usize>,
    /// For those who come again.
    pub reprovisioning: Reprovisioning,
}
