//! Who may register with a DPS instance and which hub it gets (ref §3, §9.4, §11.5). Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::hub::device::Keys;
use crate::hub::registry::Hub;

/// How a hub is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allocation {
    /// Evenly, and always the same one for the same registration.
    #[default]
    Hashed,
    /// The first one.
    Static,
}

/// What happens to a device that registers again and belongs to another hub by now (ref §9.4).
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
    /// Ref §9.4.
    #[must_use]
    pub fn substatus(self) -> &'static str {
        match self {
            Self::Migrate => "deviceDataMigrated",
            Self::Reset => "deviceDataReset",
            Self::Never => "initialAssignment",
        }
    }
}

/// What individual enrollments and groups have in common.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Of the enrollment, or of the group from which devices derive theirs.
    pub keys: Keys,
    /// `provisioningStatus`.
    pub enabled: bool,
    /// How a hub is chosen…
    pub allocation: Allocation,
    /// …among these.
    pub hubs: Vec<Arc<Hub>>,
    /// For those who come again.
    pub reprovisioning: Reprovisioning,
}

/// One device, enrolled by itself.
#[derive(Debug, Clone)]
pub struct Individual {
    /// Its id at the hub, when that differs from the registration id.
    pub device_id: Option<String>,
    /// The terms.
    pub terms: Terms,
}

/// Many devices, enrolled together.
#[derive(Debug, Clone)]
pub struct Group {
    /// `enrollmentGroupId`.
    pub id: Arc<str>,
    /// The terms.
    pub terms: Terms,
}

/// Everybody who is enrolled.
#[derive(Debug, Default)]
pub struct Enrollments {
    individuals: HashMap<String, Individual>,
    groups: Vec<Group>,
}

/// The enrollment that a registration belongs to.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// The group, unless the device is enrolled by itself.
    pub group: Option<Arc<str>>,
    /// The id at the hub.
    pub device_id: String,
    /// The device's keys, for DPS and for the hub alike (ref §8.6).
    pub keys: Keys,
    /// The terms.
    pub terms: Terms,
}

impl Enrollments {
    /// These groups, and nobody else yet.
    #[must_use]
    pub fn new(groups: Vec<Group>) -> Self {
        Self { individuals: HashMap::new(), groups }
    }

    /// Adds an individual enrollment. Registration ids differ in more than case (ref §3.3).
    pub fn add(&mut self, registration_id: &str, individual: Individual) {
        self.individuals.insert(registration_id.to_ascii_lowercase(), individual);
    }

    /// What `registration_id` could belong to: its own enrollment, and only without one, any group. Keys are derived
    /// from the id exactly as it is written (ref §0.3 rule 10).
    pub fn candidates<'a>(&'a self, registration_id: &'a str) -> impl Iterator<Item = Enrolled> + 'a {
        let own = self.individuals.get(&registration_id.to_ascii_lowercase());
        let groups = self.groups.iter().filter(move |_| own.is_none());
        let own = own.map(|individual| Enrolled {
            group: None,
            device_id: individual.device_id.clone().unwrap_or_else(|| registration_id.to_owned()),
            keys: individual.terms.keys.clone(),
            terms: individual.terms.clone(),
        });
        own.into_iter().chain(groups.map(move |group| group.enroll(registration_id)))
    }

    /// The named group's or the own enrollment of `registration_id`, as it was remembered.
    #[must_use]
    pub fn find(&self, registration_id: &str, group: Option<&str>) -> Option<Enrolled> {
        self.candidates(registration_id).find(|enrolled| enrolled.group.as_deref() == group)
    }
}

impl Group {
    fn enroll(&self, registration_id: &str) -> Enrolled {
        Enrolled {
            group: Some(self.id.clone()),
            device_id: registration_id.to_owned(),
            keys: self.terms.keys.derive(registration_id),
            terms: self.terms.clone(),
        }
    }
}

impl Terms {
    /// The hub for a registration, when there is any.
    #[must_use]
    pub fn choose(&self, registration_id: &str) -> Option<&Arc<Hub>> {
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

/// FNV-1a over the id without case: the same in every process, unlike the standard library's hasher.
fn fnv1a(text: &str) -> u64 {
    let mix =
        |hash: u64, byte: u8| (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}
