//! Enrollments of a DPS instance, and their look-ups (ref §3, §11.5). Pure.

use std::collections::{BTreeMap, HashMap};

use super::attestation::Attestation;
use super::authentication::{Authentication, Keys};
use super::enrollment::{Enrolled, Group, Individual};
use super::terms::Terms;
use crate::x509::certificate::Certificate;
use crate::x509::thumbprint::Thumbprint;

/// All enrollments of an instance.
#[derive(Debug, Default)]
pub struct Enrollments {
    /// By registration id in lower case: ids differ in more than case (ref §3.3).
    individuals: BTreeMap<String, Individual>,
    groups: Vec<Group>,
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

    /// Returns all groups.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }

    /// Returns the group of this name, in any case.
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

    /// Returns all individual enrollments, by registration id.
    pub fn individuals(&self) -> impl Iterator<Item = (&str, &Individual)> {
        self.individuals.iter().map(|(id, individual)| (id.as_str(), individual))
    }

    /// Returns the individual enrollment of this registration id, in any case.
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

    /// Finds the enrollment of a remembered registration: in the named group, or else the own one of `registration_id`.
    /// `thumbprint` belongs to the certificate that it registered with.
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
            _ => thumbprint.cloned().map(Authentication::by_thumbprint),
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

/// Returns the names of two enrollments that have the same certificate: it may belong to one only (ref §9.1).
#[must_use]
pub fn shared_certificate(
    enrollments: &[(String, &Attestation)],
    uploads: &BTreeMap<String, &Certificate>,
) -> Option<(String, String)> {
    let mut owners: HashMap<&[u8], &str> = HashMap::new();
    for (name, attestation) in enrollments {
        let mut own: Vec<_> = attestation.certificates(uploads).into_iter().map(Certificate::der).collect();
        own.dedup();
        for der in own {
            if let Some(other) = owners.insert(der, name) {
                return Some((other.to_owned(), name.clone()));
            }
        }
    }
    None
}
