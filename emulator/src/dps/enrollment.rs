//! Enrollments of a DPS instance, and the hubs they allocate (ref §3, §9.4, §11.5). Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hub::authentication::{Authentication, Keys};
use crate::hub::registry::Hub;
use crate::x509::certificate::Certificate;
use crate::x509::thumbprint::{Thumbprint, Thumbprints};

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

/// Two of a kind; either counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots<T> {
    /// The first.
    pub primary: T,
    /// The second, when there is one.
    pub secondary: Option<T>,
}

impl<T> Slots<T> {
    /// Primary, then secondary.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.primary).chain(self.secondary.as_ref())
    }
}

/// Attestation of devices at DPS (ref §9.1, §11.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attestation {
    /// By keys: the enrollment's own, or those from which the devices of a group derive theirs.
    SymmetricKey(Keys),
    /// An individual, by its own certificates.
    ClientCertificates(Slots<Certificate>),
    /// A group, by CAs that are enrolled with it.
    SigningCertificates(Slots<Certificate>),
    /// A group, by the names of uploaded CAs.
    CaReferences(Slots<String>),
}

impl Attestation {
    /// As Azure's REST API writes it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if matches!(self, Self::SymmetricKey(_)) { "symmetricKey" } else { "x509" }
    }

    /// The enrolled certificates; names by what is uploaded under them now.
    #[must_use]
    pub fn certificates<'a>(&'a self, uploads: &BTreeMap<String, &'a Certificate>) -> Vec<&'a Certificate> {
        match self {
            Self::SymmetricKey(_) => Vec::new(),
            Self::ClientCertificates(slots) | Self::SigningCertificates(slots) => slots.iter().collect(),
            Self::CaReferences(names) => names.iter().filter_map(|name| uploads.get(name).copied()).collect(),
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
    /// By registration id in lower case: ids differ in more than case (ref §3.3).
    individuals: BTreeMap<String, Individual>,
    groups: Vec<Group>,
}

/// The enrollment that a registration belongs to.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// The group, unless the device is enrolled by itself.
    pub group: Option<Arc<str>>,
    /// The id at the hub.
    pub device_id: String,
    /// Authentication that the hub accepts: the device's keys (ref §8.6), or the certificate that it presented. The
    /// hub identifies a certificate by its thumbprint, so it accepts a renewed certificate only after a new
    /// registration (ref §9.3).
    pub authentication: Authentication,
    /// The certificate it attested itself with, if it was one.
    pub certificate: Option<Certificate>,
    /// The terms.
    pub terms: Terms,
}

impl Enrollments {
    /// Adds a group, or replaces the one of the same name (in any case).
    pub fn put_group(&mut self, group: Group) {
        match self.groups.iter_mut().find(|known| known.id.eq_ignore_ascii_case(&group.id)) {
            Some(known) => *known = group,
            None => self.groups.push(group),
        }
    }

    /// Removes a group; `false` when there is none.
    pub fn remove_group(&mut self, id: &str) -> bool {
        let before = self.groups.len();
        self.groups.retain(|group| !group.id.eq_ignore_ascii_case(id));
        self.groups.len() < before
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }

    /// The group of this name, in any case.
    #[must_use]
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.id.eq_ignore_ascii_case(id))
    }

    /// Adds or replaces an individual enrollment.
    pub fn put_individual(&mut self, registration_id: &str, individual: Individual) {
        self.individuals.insert(registration_id.to_ascii_lowercase(), individual);
    }

    /// Removes an individual enrollment; `false` when there is none.
    pub fn remove_individual(&mut self, registration_id: &str) -> bool {
        self.individuals.remove(&registration_id.to_ascii_lowercase()).is_some()
    }

    /// All individual enrollments, by registration id.
    pub fn individuals(&self) -> impl Iterator<Item = (&str, &Individual)> {
        self.individuals.iter().map(|(id, individual)| (id.as_str(), individual))
    }

    /// The individual enrollment of this registration id.
    #[must_use]
    pub fn individual(&self, registration_id: &str) -> Option<&Individual> {
        self.individuals.get(&registration_id.to_ascii_lowercase())
    }

    /// Returns the enrollments that `registration_id` can use by key: its own enrollment, or any group if there is
    /// none. Keys are derived from the id exactly as it is written (ref §0.3 rule 10).
    pub fn candidates<'a>(&'a self, registration_id: &'a str) -> impl Iterator<Item = (Enrolled, Keys)> + 'a {
        let own = self.individual(registration_id);
        let groups = self.groups.iter().filter(move |_| own.is_none());
        let own = own.and_then(|individual| {
            let Attestation::SymmetricKey(keys) = &individual.terms.attestation else { return None };
            Some((individual.enroll(registration_id, Authentication::Sas(keys.clone())), keys.clone()))
        });
        let of_group = groups.filter_map(move |group| {
            let Attestation::SymmetricKey(keys) = &group.terms.attestation else { return None };
            let derived = keys.derive(registration_id);
            Some((group.enroll(registration_id, Authentication::Sas(derived.clone())), derived))
        });
        own.into_iter().chain(of_group)
    }

    /// The named group's or the own enrollment of `registration_id`, as it was remembered, with the thumbprint of the
    /// certificate that it registered with.
    #[must_use]
    pub fn find(
        &self,
        registration_id: &str,
        group: Option<&str>,
        thumbprint: Option<&Thumbprint>,
    ) -> Option<Enrolled> {
        let registered = |terms: &Terms| match &terms.attestation {
            Attestation::SymmetricKey(keys) if group.is_some() => {
                Some(Authentication::Sas(keys.derive(registration_id)))
            }
            Attestation::SymmetricKey(keys) => Some(Authentication::Sas(keys.clone())),
            _ => thumbprint.cloned().map(by_thumbprint),
        };
        match group {
            Some(id) => {
                let group = self.group(id)?;
                Some(group.enroll(registration_id, registered(&group.terms)?))
            }
            None => {
                let own = self.individual(registration_id)?;
                Some(own.enroll(registration_id, registered(&own.terms)?))
            }
        }
    }
}

fn by_thumbprint(thumbprint: Thumbprint) -> Authentication {
    Authentication::SelfSigned(Thumbprints { primary: Some(thumbprint), secondary: None })
}

impl Enrolled {
    /// The same with the certificate it attested itself with.
    #[must_use]
    pub fn with(self, certificate: Certificate) -> Self {
        Self { certificate: Some(certificate), ..self }
    }
}

/// Returns the authentication at the hub of a device that attested with this certificate.
#[must_use]
pub fn identity(certificate: &Certificate) -> Authentication {
    by_thumbprint(Thumbprint::sha256(certificate.der()))
}

impl Individual {
    /// The enrollment of its device.
    #[must_use]
    pub fn enroll(&self, registration_id: &str, authentication: Authentication) -> Enrolled {
        Enrolled {
            group: None,
            device_id: self.device_id.clone().unwrap_or_else(|| registration_id.to_owned()),
            authentication,
            certificate: None,
            terms: self.terms.clone(),
        }
    }
}

impl Group {
    /// The enrollment of one of its devices.
    #[must_use]
    pub fn enroll(&self, registration_id: &str, authentication: Authentication) -> Enrolled {
        Enrolled {
            group: Some(self.id.clone()),
            device_id: registration_id.to_owned(),
            authentication,
            certificate: None,
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
