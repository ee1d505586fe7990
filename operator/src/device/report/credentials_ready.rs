//! The conditions `CredentialsReady` and `CredentialsExpiring`, and the status of the credentials. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lanyard_crds::slot::InUse;
use lanyard_crds::status::{CertificateStatus, CredentialsProof, CredentialsStatus, IoTDeviceStatus};
use lanyard_handoff::status as handoff;

use crate::conditions::{Aspect, CREDENTIALS_EXPIRING, find, whole_seconds};
use crate::credential::certificate::Certificate;
use crate::credential::leaf::BACKDATED;
use crate::credential::rollover_queue::RolloverTurn;
use crate::credential::schedule;
use crate::credential::stored::{Credential, StoredCredentials};
use crate::device::apply::written::{Applied, Written};
use crate::device::issue::credential::{Issued, Pending};
use crate::device::observe::observation::DeviceObservation;
use crate::device::report::outcome::Outcome;
use crate::device::validate::effective::EffectiveDevice;
use crate::device::validate::origin::Origin;
use crate::kubernetes::event::UserEvent;
use crate::kubernetes::event::normal;
use crate::reason::Reason;

/// So long a new certificate may be without proof before the one before counts as the one in use.
const PROOF_WITHIN: std::time::Duration = std::time::Duration::from_secs(3600);

/// Returns whether the Secret has the planned content and works.
///
/// `issued_before` means that the device's Secret has credentials, which stay there when new ones cannot be issued.
pub(super) fn ready(
    outcome: &Outcome,
    reported: Option<&handoff::DeviceStatus>,
    issued_before: bool,
) -> Aspect {
    let (valid, applied) = match outcome {
        Outcome::Faulty(fault) if issued_before => {
            let message = format!("{}; the agent continues with its current credentials", fault.message);
            return Aspect::new(false, fault.reason, message);
        }
        Outcome::Faulty(fault) | Outcome::Withdrawn(fault) => return Aspect::from_fault(fault),
        Outcome::Making => {
            return Aspect::new(false, Reason::KeyBeingMade, "the device's private key is being made");
        }
        Outcome::Applied(valid, applied) => (valid, applied),
    };
    match &applied.credentials {
        Err(fault) => Aspect::from_fault(fault),
        Ok(Written::Waiting(why)) => Aspect::new(false, Reason::Waiting, why.clone()),
        Ok(Written::Contested(why, _)) => Aspect::new(false, Reason::Contested, why.clone()),
        Ok(Written::Created | Written::Updated { .. } | Written::Unchanged | Written::Absent) => {
            issued(valid, &applied.issued, reported)
        }
    }
}

fn issued(valid: &EffectiveDevice, issued: &Issued, reported: Option<&handoff::DeviceStatus>) -> Aspect {
    let secret = &valid.secret_name;
    match issued.pending {
        Some(Pending::RolloverTurn(RolloverTurn::Paused(_))) => {
            let message = format!(
                "Secret {secret} contains the previous credential: other devices of the group were refused with the new one, \
                    see status.rollover of the ProvisioningGroup"
            );
            return Aspect::new(true, Reason::RolloverPaused, message);
        }
        Some(Pending::RolloverTurn(_)) => {
            let message = format!(
                "Secret {secret} contains the previous credential; the new one follows when it is the device's turn \
                    (rollover.devicesPerMinute of the ProvisioningGroup)"
            );
            return Aspect::new(true, Reason::RolloverPending, message);
        }
        Some(Pending::Key) | None => {}
    }
    let register = register(valid, issued).unwrap_or_default();
    if issued.proof == CredentialsProof::Refused && issued.holding.previous.is_some() {
        let refused = reported.and_then(|reported| reported.credential.as_ref()?.refused.as_ref());
        let why = refused.map(|refused| format!(": {}", refused.message)).unwrap_or_default();
        let message = format!(
            "the hub or DPS refused the new credential, and the device continues with the previous one{why}{register}"
        );
        return Aspect::new(false, Reason::CredentialRefused, message);
    }
    Aspect::new(true, Reason::Issued, format!("Secret {secret} holds {}{register}", what(valid)))
}

/// Describes the credential: its kind and its source.
pub(super) fn what(valid: &EffectiveDevice) -> String {
    match &valid.origin {
        Origin::Group { group, key, .. } => {
            format!("the device's key, derived from the {key} of ProvisioningGroup {group}")
        }
        Origin::Own { secret } => format!("the device's key, from Secret {secret}"),
        Origin::SelfSigned(_) => "the device's certificate, signed by itself".to_owned(),
        Origin::Issued { group, secret, .. } => {
            format!(
                "the device's certificate, signed by the CA in Secret {secret} of ProvisioningGroup {group}"
            )
        }
        Origin::Kept { secret, .. } => format!("the device's certificate, from Secret {secret}"),
    }
}

/// Returns the instruction to register the thumbprint of a certificate; none after it was accepted.
pub(super) fn register(valid: &EffectiveDevice, issued: &Issued) -> Option<String> {
    if !matches!(valid.origin, Origin::SelfSigned(_)) || issued.proof == CredentialsProof::Accepted {
        return None;
    }
    let certificate = issued.holding.current.certified()?.leaf().status();
    let slot = issued.holding.slot.unwrap_or_default().as_str().to_ascii_lowercase();
    Some(format!(
        "; register its {slot} thumbprint at the hub: SHA-256 {}, SHA-1 {}",
        certificate.sha256_thumbprint, certificate.sha1_thumbprint
    ))
}

/// Returns the credentials part of the status.
pub(super) fn status(outcome: &Outcome, before: &IoTDeviceStatus) -> Option<CredentialsStatus> {
    match outcome {
        Outcome::Withdrawn(fault) if fault.reason.takes_credentials() => None,
        Outcome::Applied(
            valid,
            Applied {
                issued,
                credentials: Ok(Written::Created | Written::Updated { .. } | Written::Unchanged),
                ..
            },
        ) => Some(issued_status(valid, issued)),
        _ => before.credentials.clone(),
    }
}

fn issued_status(valid: &EffectiveDevice, issued: &Issued) -> CredentialsStatus {
    let holding = &issued.holding;
    let of = |credential: &Credential| credential.certified().map(|certified| certified.leaf().status());
    let (current, previous) = (of(&holding.current), holding.previous.as_ref().and_then(of));
    // Two slots exist only if the operator renews; otherwise the previous certificate belongs to none.
    let previous: Option<CertificateStatus> = previous.filter(|_| holding.slot.is_some());
    let slot = holding.slot.unwrap_or_default();
    let not_after = holding.current.certified().map(|certified| Time(certified.ends().at));
    let is_certificate = current.is_some();
    let (primary, secondary) = match slot {
        InUse::Primary => (current, previous),
        InUse::Secondary => (previous, current),
    };
    CredentialsStatus {
        secret_name: valid.secret_name.clone(),
        kind: holding.current.kind(),
        fingerprint: Some(holding.current.fingerprint().to_string()),
        issuer_fingerprint: holding.issuer.as_ref().map(ToString::to_string),
        proof: Some(issued.proof),
        primary,
        secondary,
        current: is_certificate.then_some(slot),
        not_after,
        renewal_at: issued.renewal_at.map(|time| Time(whole_seconds(time))),
    }
}

/// Returns whether the device's certificate expires soon; `None` without a certificate.
pub(super) fn expiring(
    observed: &DeviceObservation,
    outcome: &Outcome,
    before: &IoTDeviceStatus,
    now: Timestamp,
) -> Option<Aspect> {
    if matches!(outcome, Outcome::Withdrawn(_)) {
        return None;
    }
    let issued = match outcome {
        Outcome::Applied(_, applied) => Some(&*applied.issued),
        _ => None,
    };
    let (stored, proof, renewal_at) = match issued {
        Some(issued) => (StoredCredentials::from(issued.holding.clone()), issued.proof, issued.renewal_at),
        None => {
            let recorded = before.credentials.as_ref();
            let proof = recorded.and_then(|recorded| recorded.proof).unwrap_or(CredentialsProof::Untried);
            (
                observed.stored.clone()?,
                proof,
                recorded.and_then(|recorded| recorded.renewal_at.as_ref().map(|time| time.0)),
            )
        }
    };
    let (shown, is_current) = shown(&stored, proof, now)?;
    let next = renewal_at.filter(|renewal_at| is_current && now < *renewal_at);
    let ends = whole_seconds(shown.not_after);
    let message = match next {
        Some(next) => format!(
            "the certificate expires at {ends}; the operator issues the next one at {}",
            whole_seconds(next)
        ),
        None if is_current => format!("the certificate expires at {ends}"),
        None => format!(
            "the device still uses the previous certificate, which expires at {ends}: have the hub accept the new one"
        ),
    };
    if now >= shown.not_after {
        Some(Aspect::new(true, Reason::Expired, message))
    } else if now >= schedule::expiring(&shown) && next.is_none() {
        Some(Aspect::new(true, Reason::Expiring, message))
    } else {
        Some(Aspect::new(false, Reason::Valid, message))
    }
}

/// Returns the certificate that the device uses, as far as is known, and whether it is the newest.
fn shown(stored: &StoredCredentials, proof: CredentialsProof, now: Timestamp) -> Option<(Certificate, bool)> {
    let current = stored
        .current
        .as_ref()
        .and_then(Credential::certified)
        .map(|certified| certified.leaf_within_chain());
    let previous = stored
        .previous
        .as_ref()
        .and_then(Credential::certified)
        .map(|certified| certified.leaf_within_chain());
    let overdue = |current: &Certificate| {
        let made = current.not_before.saturating_add(BACKDATED).unwrap_or(Timestamp::MAX);
        let life = std::time::Duration::try_from(current.not_after.duration_since(made)).unwrap_or_default();
        now > made.saturating_add(PROOF_WITHIN.min(life / 20)).unwrap_or(Timestamp::MAX)
    };
    let falls_back = match (proof, &current) {
        (CredentialsProof::Refused, _) => true,
        (CredentialsProof::Untried, Some(current)) => overdue(current),
        _ => false,
    };
    match (current, previous) {
        (_, Some(previous)) if falls_back => Some((previous, false)),
        (Some(current), _) => Some((current, true)),
        (None, _) => None,
    }
}

/// Returns the time of the next action or message without a change.
#[must_use]
pub fn next(issued: &Issued, now: Timestamp) -> Option<Timestamp> {
    let holding = &issued.holding;
    let leaf =
        |credential: &Credential| credential.certified().map(|certified| certified.leaf_within_chain());
    let leaves = leaf(&holding.current).into_iter().chain(holding.previous.as_ref().and_then(leaf));
    let ends = leaves.flat_map(|leaf| [schedule::expiring(&leaf), leaf.not_after]);
    ends.chain(issued.renewal_at).filter(|time| *time > now).min()
}

/// Returns the event of a written Secret.
pub(super) fn written(
    before: &IoTDeviceStatus,
    after: &IoTDeviceStatus,
    valid: &EffectiveDevice,
    applied: &Applied,
) -> Option<UserEvent> {
    let fingerprint = |status: &IoTDeviceStatus| {
        status.credentials.as_ref().map(|credentials| credentials.fingerprint.clone())
    };
    let word = match applied.credentials {
        Ok(Written::Created) => Reason::CredentialsIssued,
        Ok(Written::Updated { .. }) if fingerprint(before) != fingerprint(after) => {
            Reason::CredentialsRenewed
        }
        Ok(Written::Updated { .. }) => Reason::CredentialsUpdated,
        _ => return None,
    };
    let register = register(valid, &applied.issued).unwrap_or_default();
    Some(normal(word, "Issue", format!("wrote Secret {}{register}", valid.secret_name)))
}

/// Returns the event of a certificate that expires soon, once.
pub(super) fn ends(before: &IoTDeviceStatus, after: &IoTDeviceStatus) -> Option<UserEvent> {
    let true_condition = |status: &IoTDeviceStatus| {
        find(&status.conditions, CREDENTIALS_EXPIRING).filter(|condition| condition.status == "True").cloned()
    };
    let (before, after) = (true_condition(before), true_condition(after)?);
    let is_news = before.is_none_or(|before| before.reason != after.reason);
    let reason = match Reason::parse(&after.reason) {
        Some(Reason::Expired) => Reason::CredentialsExpired,
        _ => Reason::CredentialsExpiring,
    };
    is_news.then_some(UserEvent { warning: true, reason, action: "Observe", message: after.message })
}
