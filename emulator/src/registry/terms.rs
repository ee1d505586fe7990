//! Common settings of enrollments, and the hub that they choose for a registration (ref §9.4, §11.5). Pure.

use std::sync::Arc;

use super::attestation::Attestation;

/// Policy that chooses a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allocation {
    /// Evenly, and always the same one for the same registration.
    #[default]
    Hashed,
    /// The first one.
    Static,
}

/// Policy for a device that registers again and would be allocated to another hub now (ref §9.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reprovisioning {
    /// Moves with its data: the default.
    Migrate,
    /// Moves without its data.
    Reset,
    /// Stays.
    Never,
}

impl Reprovisioning {
    /// Returns the substatus after a move to another hub (ref §9.4); a device that never moves keeps the initial one.
    #[must_use]
    pub fn substatus(self) -> &'static str {
        match self {
            Self::Migrate => "deviceDataMigrated",
            Self::Reset => "deviceDataReset",
            Self::Never => "initialAssignment",
        }
    }
}

/// Common settings of individual enrollments and groups.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Attestation of the devices.
    pub attestation: Attestation,
    /// `provisioningStatus`.
    pub enabled: bool,
    /// Policy that chooses the hub…
    pub allocation: Allocation,
    /// …among these, by their names.
    pub hubs: Vec<Arc<str>>,
    /// Policy for devices that register again.
    pub reprovisioning: Reprovisioning,
}

impl Terms {
    /// Returns the name of the hub for a registration, if there is any.
    #[must_use]
    pub fn choose(&self, registration_id: &str) -> Option<&Arc<str>> {
        match self.allocation {
            Allocation::Static => self.hubs.first(),
            Allocation::Hashed => {
                let count = u64::try_from(self.hubs.len()).ok().filter(|&count| count > 0)?;
                let at = usize::try_from(fnv1a(registration_id) % count).ok()?;
                self.hubs.get(at)
            }
        }
    }
}

/// Returns FNV-1a over the id without case: the same in every process, unlike the standard library's hasher.
fn fnv1a(text: &str) -> u64 {
    let mix =
        |hash: u64, byte: u8| (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}
