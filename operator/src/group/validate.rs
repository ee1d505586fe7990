//! Second stage: validates a group. Pure.

use jiff::Timestamp;
use lanyard_crds::group::GroupKey;
use lanyard_crds::slot::InUse;
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::IdScope;

use crate::conditions::whole_seconds;
use crate::credential::certificate::{Certificate, within_time};
use crate::credential::issuer::{self, Issuer};
use crate::device::issue::credential::{group_key, trusted_ca};
use crate::fault::Fault;
use crate::group::observe::GroupObservation;
use crate::reason::Reason;

/// Key or CA of the devices' credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCredential {
    /// In one word.
    pub reason: Reason,
    /// In words.
    pub message: String,
    /// The key or CA in use.
    pub issuer: Fingerprint,
    /// Error of the CA that is not in use. It is reported before the devices move to that CA.
    pub spare: Option<Fault>,
}

/// The CAs of a group with their slots.
#[derive(Debug)]
pub struct GroupCas {
    /// Every CA that can be used.
    pub issuers: Vec<(InUse, Issuer)>,
    /// Errors of the unusable ones.
    pub faults: Vec<(InUse, Fault)>,
}

impl GroupCas {
    /// Keeps the CAs whose Secrets permit it.
    pub fn only_permitted(&mut self, permitted: impl Fn(InUse) -> Result<(), Fault>) {
        let refused: Vec<_> = [InUse::Primary, InUse::Secondary]
            .into_iter()
            .filter_map(|slot| permitted(slot).err().map(|fault| (slot, fault)))
            .collect();
        let of_it = |slot: &InUse| refused.iter().any(|(refused, _)| refused == slot);
        self.issuers.retain(|(slot, _)| !of_it(slot));
        self.faults.retain(|(slot, _)| !of_it(slot));
        self.faults.extend(refused);
    }
}

/// Checks every CA of the group.
#[must_use]
pub fn issuers(observed: &GroupObservation, now: Timestamp) -> GroupCas {
    let mut usable = GroupCas { issuers: Vec::new(), faults: Vec::new() };
    for seen in &observed.issuers {
        match Issuer::read(&seen.secret, seen.data.as_ref(), now) {
            Ok(issuer) => usable.issuers.push((seen.slot, issuer)),
            Err(fault) => usable.faults.push((seen.slot, fault)),
        }
    }
    usable
}

/// Returns the expiry of each CA of the group, regardless of other errors.
#[must_use]
pub fn ends(observed: &GroupObservation) -> Vec<(InUse, Timestamp)> {
    let end = |data: &crate::kubernetes::secret::SecretData| {
        let chain = Certificate::read_all(data.bytes(issuer::CERTIFICATE)?).ok()?;
        within_time(&chain).map(|certificate| certificate.not_after).min()
    };
    let found = observed.issuers.iter();
    found.filter_map(|seen| Some((seen.slot, end(seen.data.as_ref()?)?))).collect()
}

/// Returns the key or CA of the devices' credentials, if everything is in order.
///
/// # Errors
/// [`Fault`]: an error that a user must fix; it never contains a part of a key.
pub fn validate(observed: &GroupObservation, cas: &GroupCas) -> Result<GroupCredential, Fault> {
    let spec = &observed.group.spec;
    let invalid = |field: &str, error: &dyn std::fmt::Display| {
        Fault::new(Reason::InvalidSpec, format!("{field}: {error}"))
    };
    IdScope::new(spec.dps.id_scope.as_str()).map_err(|error| invalid("dps.idScope", &error))?;
    HostPort::parse(&spec.dps.endpoint).map_err(|error| invalid("dps.endpoint", &error))?;
    let usable = match (&spec.attestation.symmetric_key, &spec.attestation.x509) {
        (Some(key), None) => with_key(key, observed)?,
        (None, Some(x509)) => with_ca(x509.in_use, cas)?,
        _ => return Err(invalid("attestation", &"set exactly one of symmetricKey and x509")),
    };
    trusted_ca(&observed.trusted_ca)?;
    Ok(usable)
}

fn with_key(key: &GroupKey, observed: &GroupObservation) -> Result<GroupCredential, Fault> {
    let group = group_key(&key.secret_ref.name, key.in_use.secret_key(), observed.key.as_ref())?;
    let message = format!(
        "the devices' keys are derived from {} in Secret {}",
        key.in_use.secret_key(),
        key.secret_ref.name
    );
    Ok(GroupCredential {
        reason: Reason::KeyUsable,
        message,
        issuer: Fingerprint::of_key(&group),
        spare: None,
    })
}

fn with_ca(in_use: InUse, cas: &GroupCas) -> Result<GroupCredential, Fault> {
    let in_slot = |slot: InUse, fault: &Fault, rest: &str| {
        let field = match slot {
            InUse::Primary => "issuer",
            InUse::Secondary => "secondaryIssuer",
        };
        Fault::new(fault.reason, format!("{field}: {}{rest}", fault.message))
    };
    let fault =
        |searched: InUse| cas.faults.iter().find(|(slot, _)| *slot == searched).map(|(_, fault)| fault);
    if let Some(fault) = fault(in_use) {
        return Err(in_slot(in_use, fault, ""));
    }
    let used = cas.issuers.iter().find(|(slot, _)| *slot == in_use);
    let (_, issuer) = used.ok_or_else(|| {
        Fault::new(Reason::InvalidSpec, "attestation.x509: use: Secondary needs secondaryIssuer")
    })?;
    let message = format!(
        "the devices' certificates are signed by {}, which expires at {}",
        issuer.certificate().name,
        whole_seconds(issuer.not_after())
    );
    let other = if in_use == InUse::Primary { InUse::Secondary } else { InUse::Primary };
    let spare = fault(other)
        .map(|fault| in_slot(other, fault, "; it is not in use, devices get certificates of the other"));
    Ok(GroupCredential { reason: Reason::IssuerUsable, message, issuer: issuer.fingerprint(), spare })
}
