//! Change of a device's credential, so that the device always has one that works. Pure.

use std::time::Duration;

use jiff::Timestamp;
use lanyard_crds::IoTDevice;
use lanyard_crds::slot::InUse;
use lanyard_crds::status::{ConnectionState, CredentialsProof, CredentialsStatus};
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_handoff::status as handoff;

use super::certified::Certified;
use super::issuer::Issuer;
use super::leaf::BACKDATED;
use super::schedule;
use crate::credential::leaf::LeafRequest;
use crate::credential::stored::{Credential, StoredCredentials};

/// Time for which a registered certificate stays after its expiry, because a clock that is ahead may be corrected.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// Returns the result of a credential: from the agent's report, otherwise from the known state.
#[must_use]
pub fn proof(
    fingerprint: &Fingerprint,
    reported: Option<&handoff::Credential>,
    before: Option<&CredentialsStatus>,
) -> CredentialsProof {
    if let Some(reported) = reported {
        if reported.refused.as_ref().is_some_and(|refused| refused.fingerprint == *fingerprint) {
            return CredentialsProof::Refused;
        }
        if reported.accepted.as_ref() == Some(fingerprint) {
            return CredentialsProof::Accepted;
        }
    }
    let same = before.filter(|before| before.fingerprint.as_deref() == Some(fingerprint.as_str()));
    same.and_then(|before| before.proof).unwrap_or(CredentialsProof::Untried)
}

/// Returns whether a device was refused with its credential of this issuer while the previous one works. A device
/// that is not connected, such as one that is disabled at the hub, is refused with every credential and says nothing
/// about the issuer.
#[must_use]
pub fn refused(device: &IoTDevice, issuer: &Fingerprint) -> bool {
    let Some(status) = &device.status else { return false };
    let connected = status.connection.as_ref().map(|connection| connection.state);
    status.credentials.as_ref().is_some_and(|credentials| {
        credentials.issuer_fingerprint.as_deref() == Some(issuer.as_str())
            && credentials.proof == Some(CredentialsProof::Refused)
            && connected == Some(ConnectionState::Connected)
    })
}

/// Returns whether a credential has expired. One that is not valid yet has not; the clock is rather behind.
#[must_use]
pub fn has_ended(credential: &Credential, now: Timestamp) -> bool {
    credential.certified().is_some_and(|certified| certified.ends().at <= now)
}

/// Returns whether a credential is not valid yet: a clock was ahead when it was made, or the clock is behind now.
#[must_use]
pub fn is_early(credential: &Credential, now: Timestamp) -> bool {
    credential.certified().is_some_and(|certified| now < certified.leaf().not_before)
}

/// Time at which the previous credential is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetGo {
    /// After the hub accepted the current one.
    WhenProven,
    /// After its expiry, because the hub knows both.
    WhenItEnds,
}

/// Returns the previous credential if it is still needed beside a current one that stays.
#[must_use]
pub fn staying(
    stored: &StoredCredentials,
    proof: CredentialsProof,
    let_go: LetGo,
    now: Timestamp,
) -> Option<Credential> {
    let previous = stored.previous.clone()?;
    let current = stored.current.as_ref();
    let is_needed = match let_go {
        LetGo::WhenProven => proof != CredentialsProof::Accepted && !has_ended(&previous, now),
        LetGo::WhenItEnds => !has_ended_long_ago(&previous, current, now),
    };
    let is_other = current.map(Credential::fingerprint) != Some(previous.fingerprint());
    (is_needed && is_other).then_some(previous)
}

/// Returns whether a credential expired more than [`GRACE`] ago, counted from the later of its expiry and its
/// successor's start, which tolerates clock changes.
fn has_ended_long_ago(previous: &Credential, current: Option<&Credential>, now: Timestamp) -> bool {
    let Some(previous) = previous.certified() else { return false };
    let followed = current.and_then(Credential::certified).map(|current| {
        let made = current.leaf().not_before.saturating_add(BACKDATED);
        made.unwrap_or(Timestamp::MAX)
    });
    let end = followed.map_or(previous.leaf().not_after, |made| made.max(previous.leaf().not_after));
    end.saturating_add(GRACE).unwrap_or(Timestamp::MAX) < now
}

/// Returns the previous credential to keep beside a new one: the one that is known to work. A device that returns to
/// the previous one needs no other. An expired one stays only if it was registered and there is no better one.
#[must_use]
pub fn leaving(
    stored: &StoredCredentials,
    new: &Credential,
    proof: CredentialsProof,
    let_go: LetGo,
    now: Timestamp,
) -> Option<Credential> {
    let fingerprint = new.fingerprint();
    let other = |credential: &Option<Credential>| {
        credential.clone().filter(|credential| credential.fingerprint() != fingerprint)
    };
    let (current, previous) = (other(&stored.current), other(&stored.previous));
    let returns = stored.previous.is_some() && previous.is_none();
    let best_first = match proof {
        CredentialsProof::Accepted => [current, previous],
        CredentialsProof::Untried | CredentialsProof::Refused if returns => [None, None],
        CredentialsProof::Untried | CredentialsProof::Refused => [previous, current],
    };
    let lasting = best_first.iter().flatten().find(|credential| !has_ended(credential, now));
    let registered = best_first.iter().flatten().next().filter(|_| let_go == LetGo::WhenItEnds);
    lasting.or(registered).cloned()
}

/// Returns the slot of a new certificate: not the slot of the certificate that stays beside it.
#[must_use]
pub fn slot(stored: &StoredCredentials, stays: Option<&Credential>) -> InUse {
    let current_stays = stays.is_some() && stays == stored.current.as_ref();
    match (stored.slot, current_stays) {
        (None, _) | (Some(InUse::Secondary), true) | (Some(InUse::Primary), false) => InUse::Primary,
        (Some(InUse::Primary), true) | (Some(InUse::Secondary), false) => InUse::Secondary,
    }
}

/// Decision about a certificate that the operator issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Stays.
    Good,
    /// The next one is due, or this one cannot be used: at once.
    Due,
    /// Another one is wanted, and this one works: in its turn.
    Other,
}

/// Returns the decision about a credential if the operator issues certificates; `issuer` is `None` for self-signed
/// ones.
#[must_use]
pub fn judge(
    credential: &Credential,
    request: &LeafRequest,
    issuer: Option<&Issuer>,
    spread: f64,
    now: Timestamp,
) -> Verdict {
    let Some(certified) = credential.certified() else { return Verdict::Other };
    let leaf = certified.leaf();
    if has_ended(credential, now) {
        return Verdict::Due;
    }
    let fits = leaf.common_name.as_deref() == Some(&request.common_name)
        && leaf.key_kind == Some(request.key)
        && comes_from(certified, issuer);
    if !fits {
        return Verdict::Other;
    }
    let renewal = schedule::renewal(leaf, request, spread, issuer.map(Issuer::not_after));
    if renewal.is_some_and(|renewal| renewal <= now) { Verdict::Due } else { Verdict::Good }
}

fn comes_from(certified: &Certified, issuer: Option<&Issuer>) -> bool {
    let leaf = certified.leaf();
    match issuer {
        None => leaf.is_signed_by(leaf),
        Some(issuer) => {
            certified.issuer() == Some(issuer.fingerprint()) && leaf.is_signed_by(issuer.certificate())
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use lanyard_protocol::hub::key::SymmetricKey;
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> Credential {
        Credential::Key(SymmetricKey::from_base64(&STANDARD.encode([number; 32])).unwrap())
    }

    fn stored(current: u8, previous: Option<u8>) -> StoredCredentials {
        StoredCredentials {
            current: Some(key(current)),
            previous: previous.map(key),
            ..StoredCredentials::default()
        }
    }

    #[test]
    fn agent_report_overrides_known_state() {
        use CredentialsProof::{Accepted, Refused, Untried};
        let fingerprint = key(1).fingerprint();
        let recorded = |proof| CredentialsStatus {
            fingerprint: Some(fingerprint.to_string()),
            proof: Some(proof),
            ..CredentialsStatus::default()
        };
        let reported = |accepted: Option<u8>, refused: Option<u8>| handoff::Credential {
            accepted: accepted.map(|number| key(number).fingerprint()),
            refused: refused.map(|number| handoff::Refused {
                fingerprint: key(number).fingerprint(),
                since: Timestamp::UNIX_EPOCH,
                message: String::new(),
            }),
            ..handoff::Credential::default()
        };
        for (accepted, refused, before, expected) in [
            (None, None, None, Untried),
            (Some(1), None, None, Accepted),
            (Some(2), None, None, Untried),
            // The one before works, the new one does not.
            (Some(2), Some(1), Some(Untried), Refused),
            (Some(1), Some(2), Some(Refused), Accepted),
            // A restarted agent has tried nothing yet.
            (None, None, Some(Accepted), Accepted),
            (None, None, Some(Refused), Refused),
        ] {
            let recorded = before.map(recorded);
            let found = proof(&fingerprint, Some(&reported(accepted, refused)), recorded.as_ref());
            assert_eq!(found, expected, "{accepted:?} {refused:?} {before:?}");
        }
        let other = CredentialsStatus { fingerprint: Some("X".to_owned()), ..recorded(Accepted) };
        assert_eq!(proof(&fingerprint, None, Some(&other)), Untried);
    }

    /// One device, its hub and a user who changes keys: a model of everything that can happen, in any order.
    #[derive(Debug, Clone)]
    enum Step {
        /// The user wants this key.
        Want(u8),
        /// The hub knows these keys from now on.
        Register(u8, u8),
        /// The agent tries what it has.
        Try,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4_u8).prop_map(Step::Want),
            (0..4_u8, 0..4_u8).prop_map(|(one, other)| Step::Register(one, other)),
            Just(Step::Try),
        ]
    }

    proptest! {
        /// A device keeps the key with which it was last accepted, as long as the hub knows that key.
        #[test]
        fn a_device_never_loses_the_key_that_works(steps in prop::collection::vec(step(), 0..60)) {
            let now = Timestamp::UNIX_EPOCH;
            let mut stored = stored(0, None);
            let mut known = (0_u8, 0_u8);
            let (mut proof, mut works) = (CredentialsProof::Accepted, Some(0_u8));
            for step in steps {
                match step {
                    Step::Want(number) => {
                        let new = key(number);
                        if stored.current.as_ref() == Some(&new) {
                            stored.previous = staying(&stored, proof, LetGo::WhenProven, now);
                        } else {
                            let previous = leaving(&stored, &new, proof, LetGo::WhenProven, now);
                            stored = StoredCredentials { current: Some(new), previous, ..StoredCredentials::default() };
                            proof = CredentialsProof::Untried;
                        }
                    }
                    Step::Register(one, other) => {
                        known = (one, other);
                        works = works.filter(|works| *works == one || *works == other);
                    }
                    Step::Try => {
                        let is_known = |credential: &Credential| *credential == key(known.0) || *credential == key(known.1);
                        let current = stored.current.clone().unwrap();
                        if is_known(&current) {
                            proof = CredentialsProof::Accepted;
                            works = [known.0, known.1].into_iter().find(|number| key(*number) == current);
                        } else {
                            proof = CredentialsProof::Refused;
                        }
                        stored.previous = staying(&stored, proof, LetGo::WhenProven, now);
                    }
                }
                prop_assert_ne!(&stored.previous, &stored.current);
                if let Some(works) = works {
                    let has = [&stored.current, &stored.previous].into_iter().flatten().any(|has| *has == key(works));
                    prop_assert!(has, "{:?} is lost", works);
                }
            }
        }
    }

    #[test]
    fn refusal_counts_only_while_the_previous_one_works() {
        let refused_while = |state: &str| -> IoTDevice {
            let text = format!(
                "{{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {{name: a}}, spec: {{}}, status: \
                    {{observedGeneration: 1, connection: {{state: {state}, reason: r, message: m}}, credentials: \
                    {{secretName: s, kind: SharedAccessKey, issuerFingerprint: F, proof: Refused}}}}}}"
            );
            serde_saphyr::from_str(&text).unwrap()
        };
        let issuer = Fingerprint::from("F".to_owned());
        for (state, expected) in [("Connected", true), ("Disconnected", false), ("Unknown", false)] {
            assert_eq!(refused(&refused_while(state), &issuer), expected, "{state}");
        }
        assert!(!refused(&refused_while("Connected"), &Fingerprint::from("G".to_owned())));
    }

    #[test]
    fn slots_take_turns_and_spare_the_one_that_works() {
        let certificate = |slot| StoredCredentials { slot, ..stored(1, Some(2)) };
        let (current, previous) = (key(1), key(2));
        for (slot_, stays, expected) in [
            (None, None, InUse::Primary),
            (Some(InUse::Primary), Some(&current), InUse::Secondary),
            (Some(InUse::Secondary), Some(&current), InUse::Primary),
            (Some(InUse::Primary), Some(&previous), InUse::Primary),
            (Some(InUse::Secondary), Some(&previous), InUse::Secondary),
            (Some(InUse::Secondary), None, InUse::Secondary),
        ] {
            assert_eq!(slot(&certificate(slot_), stays), expected, "{slot_:?} {stays:?}");
        }
    }
}
