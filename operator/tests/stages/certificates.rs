//! Certificates through the pure stages: which one a device has when, and what stays beside it.

use std::sync::Arc;

use jiff::Timestamp;
use lanyard_crds::IoTDevice;
use lanyard_crds::slot::InUse;
use lanyard_crds::status::CredentialsProof;
use lanyard_handoff::status as handoff;
use lanyard_operator::credential::certificate::Certificate;
use lanyard_operator::credential::certified::Certified;
use lanyard_operator::credential::change::{LetGo, Verdict, has_ended, is_early, judge, leaving};
use lanyard_operator::credential::issuer::Issuer;
use lanyard_operator::credential::pair::KeyKind;
use lanyard_operator::credential::rollover_queue::RolloverTurn;
use lanyard_operator::credential::stored::{Credential, Holding, StoredCredentials};
use lanyard_operator::device::issue::credential::{Issue, Issued, KnownCredential, Pending, issue};
use lanyard_operator::device::observe::observation::DeviceObservation;
use lanyard_operator::device::plan::objects::plan;
use lanyard_operator::device::validate::effective::{Destination, validate};
use lanyard_operator::kubernetes::secret::SecretData;
use proptest::prelude::*;

use crate::authority::{DOMAIN_CA, after, domain, noon, root, root_with};
use crate::given::{Given, K32, defaults, device, secret, x509_group};

/// Returns a device of a hub that makes its own certificates, of a hundred days.
fn self_signed() -> DeviceObservation {
    let spec = "{hub: {hostname: hub.example, auth: {selfSigned: {duration: 2400h, renewBefore: 720h}}}}";
    DeviceObservation { device: Arc::new(device(spec)), ..DeviceObservation::default() }
}

/// Returns a device of a group whose CA is this.
fn in_group(ca: SecretData) -> DeviceObservation {
    DeviceObservation {
        device: Arc::new(device("{groupRef: {name: a}, deviceId: Press_17}")),
        group: Some(Arc::new(x509_group())),
        key: Some(ca),
        ..DeviceObservation::default()
    }
}

fn reported(accepted: Option<&Credential>, refused: Option<&Credential>) -> handoff::Credential {
    let refused = refused.map(|credential| handoff::Refused {
        fingerprint: credential.fingerprint(),
        since: noon(),
        message: "no".to_owned(),
    });
    handoff::Credential {
        accepted: accepted.map(Credential::fingerprint),
        refused,
        ..handoff::Credential::default()
    }
}

fn given(now: Timestamp) -> Given {
    Given { now, ..Given::default() }
}

fn issue_again(
    observed: &DeviceObservation,
    reported: Option<&handoff::Credential>,
    given: &Given,
) -> Issued {
    let known = KnownCredential { reported, recorded: None };
    match issue(&validate(observed).unwrap(), observed, known, given).unwrap() {
        Issue::Done(issued) => *issued,
        Issue::Making => panic!("the key is being made"),
    }
}

/// Writes what was issued, as the next reconciliation reads it.
fn written(observed: &mut DeviceObservation, issued: &Issued) {
    let plan = plan(&observed.device, &validate(observed).unwrap(), issued.clone(), &defaults());
    let data = plan.credentials.data.unwrap().into_iter().map(|(key, value)| (key, value.0)).collect();
    observed.stored = Some(StoredCredentials::read(&data, &plan.credentials.metadata.annotations.unwrap()));
    assert_eq!(
        observed.stored,
        Some(StoredCredentials::from(issued.holding.clone())),
        "a Secret says all that was meant"
    );
}

fn is_valid_at(credential: &Credential, now: Timestamp) -> bool {
    !is_early(credential, now) && !has_ended(credential, now)
}

fn leaf(credential: &Credential) -> &Certificate {
    credential.certified().unwrap().leaf()
}

#[test]
fn self_signed_certificate_stays_until_due_and_alternates() {
    let mut observed = self_signed();
    let first = issue_again(&observed, None, &given(noon()));
    assert_eq!((first.holding.slot, first.proof), (Some(InUse::Primary), CredentialsProof::Untried));
    let due = first.renewal_at.unwrap();
    assert!(due > after(66) && due <= after(70), "100 days less 30, and up to three more: {due}");
    written(&mut observed, &first);
    let known = reported(Some(&first.holding.current), None);
    let same = issue_again(&observed, Some(&known), &given(after(66)));
    assert_eq!((&same.holding, same.proof), (&first.holding, CredentialsProof::Accepted));

    let second = issue_again(&observed, Some(&known), &given(after(71)));
    assert_ne!(second.holding.current, first.holding.current);
    assert_eq!(
        (second.holding.previous.as_ref(), second.holding.slot),
        (Some(&first.holding.current), Some(InUse::Secondary))
    );
    written(&mut observed, &second);
    // The hub knows both: the one before stays until it ends.
    let known = reported(Some(&second.holding.current), None);
    assert_eq!(issue_again(&observed, Some(&known), &given(after(99))).holding, second.holding);
    assert_eq!(issue_again(&observed, Some(&known), &given(after(100))).holding, second.holding);
    assert_eq!(issue_again(&observed, Some(&known), &given(after(101))).holding, second.holding);
    let alone = issue_again(&observed, Some(&known), &given(after(102)));
    assert_eq!((alone.holding.previous.as_ref(), &alone.holding.current), (None, &second.holding.current));
}

#[test]
fn certificate_counts_from_its_first_second_to_its_last() {
    let issued = issue_again(&self_signed(), None, &given(noon()));
    let current = &issued.holding.current;
    let (first, last) = (leaf(current).not_before.as_second(), leaf(current).not_after.as_second());
    for (second, early, ended) in
        [(first - 1, true, false), (first, false, false), (last - 1, false, false), (last, false, true)]
    {
        let now = Timestamp::from_second(second).unwrap();
        assert_eq!((is_early(current, now), has_ended(current, now)), (early, ended), "{now}");
    }
}

/// The second certificate was never registered, and is now due itself: the first one works and must not be lost.
#[test]
fn unaccepted_certificate_gives_its_slot_to_the_next() {
    let mut observed = self_signed();
    let first = issue_again(&observed, None, &given(noon()));
    written(&mut observed, &first);
    let known = reported(Some(&first.holding.current), None);
    let second = issue_again(&observed, Some(&known), &given(after(71)));
    written(&mut observed, &second);
    let refused = reported(Some(&first.holding.current), Some(&second.holding.current));
    // The user asks for another kind of key.
    let spec =
        "{hub: {hostname: hub.example, auth: {selfSigned: {duration: 2400h, privateKey: {size: 384}}}}}";
    observed.device = Arc::new(device(spec));
    let third = issue_again(&observed, Some(&refused), &given(after(75)));
    assert_eq!(third.holding.previous.as_ref(), Some(&first.holding.current));
    assert_eq!(third.holding.slot, Some(InUse::Secondary));
    assert_eq!(leaf(&third.holding.current).key_kind, Some(KeyKind::P384));
}

/// A certificate of another program has no slot, and the hub may not know its thumbprint.
#[test]
fn self_signed_certificate_without_a_slot_is_replaced() {
    let mut observed = self_signed();
    let first = issue_again(&observed, None, &given(noon()));
    written(&mut observed, &first);
    observed.stored.as_mut().unwrap().slot = None;
    let second = issue_again(&observed, None, &given(noon()));
    assert_ne!(second.holding.current, first.holding.current);
    assert_eq!(second.holding.previous.as_ref(), Some(&first.holding.current));
    assert_eq!(second.holding.slot, Some(InUse::Primary));
}

#[test]
fn self_signed_device_makes_a_new_certificate_at_each_change() {
    let mut observed = self_signed();
    let asked = Arc::clone(&observed.device);
    let first = issue_again(&observed, None, &given(noon()));
    written(&mut observed, &first);
    let spec = "{hub: {hostname: hub.example, auth: {selfSigned: {duration: 2400h, renewBefore: 720h, privateKey: {size: 384}}}}}";
    observed.device = Arc::new(device(spec));
    let second = issue_again(&observed, None, &given(after(1)));
    written(&mut observed, &second);
    observed.device = asked;
    let third = issue_again(&observed, None, &given(after(2)));
    assert_ne!(third.holding.current, first.holding.current);
}

#[test]
fn wrong_clock_loses_no_working_certificate() {
    let mut observed = self_signed();
    let first = issue_again(&observed, None, &given(noon()));
    written(&mut observed, &first);
    let known = reported(Some(&first.holding.current), None);
    // Behind, in the same process or after a new start.
    assert_eq!(issue_again(&observed, Some(&known), &given(after(-2000))).holding, first.holding);
    assert_eq!(issue_again(&observed, None, &given(after(-2000))).holding, first.holding);
    // Ahead: the next one is made, and the one that is registered stays.
    let ahead = issue_again(&observed, Some(&known), &given(after(2000)));
    assert_ne!(ahead.holding.current, first.holding.current);
    assert_eq!(ahead.holding.previous.as_ref(), Some(&first.holding.current));
    written(&mut observed, &ahead);
    assert_eq!(issue_again(&observed, Some(&known), &given(after(2000))).holding, ahead.holding);
    // And back: it still exists, and a future one is reissued once the hub has refused it.
    assert_eq!(issue_again(&observed, Some(&known), &given(after(1))).holding, ahead.holding);
    let refused = reported(Some(&first.holding.current), Some(&ahead.holding.current));
    let back = issue_again(&observed, Some(&refused), &given(after(1)));
    assert!(is_valid_at(&back.holding.current, after(1)));
    assert_eq!(back.holding.previous.as_ref(), Some(&first.holding.current));
    written(&mut observed, &back);
    let accepted = reported(Some(&back.holding.current), None);
    assert_eq!(issue_again(&observed, Some(&accepted), &given(after(50))).holding, back.holding);
}

/// A clock that is behind does not move a device before its turn.
#[test]
fn future_group_certificate_stays_until_its_turn() {
    let mut observed = in_group(domain());
    let first = issue_again(&observed, None, &given(after(10)));
    written(&mut observed, &first);
    let known = reported(Some(&first.holding.current), None);
    assert_eq!(issue_again(&observed, Some(&known), &given(after(5))).holding, first.holding);
    observed.key = Some(root("Other"));
    let turn = RolloverTurn::In(std::time::Duration::from_secs(9));
    let waits = issue_again(&observed, Some(&known), &Given { turn, ..given(after(5)) });
    assert_eq!((&waits.holding, waits.pending), (&first.holding, Some(Pending::RolloverTurn(turn))));
}

#[test]
fn proven_group_certificate_replaces_the_previous_one() {
    let (one, other) = (root("One"), root("Other"));
    let mut observed = in_group(one.clone());
    let first = issue_again(&observed, None, &given(noon()));
    let own = leaf(&first.holding.current);
    assert_eq!(own.common_name.as_deref(), Some("press_17"));
    let issuer = Issuer::read("ca", Some(&one), noon()).unwrap();
    assert!(own.is_signed_by(issuer.certificate()) && !own.ca.is && own.for_clients);
    assert_eq!((first.holding.issuer.clone(), first.holding.slot), (Some(issuer.fingerprint()), None));
    let Destination::Dps(dps) = validate(&observed).unwrap().destination else { panic!("a group asks DPS") };
    assert_eq!(dps.registration_id.unwrap().as_str(), "press_17");
    written(&mut observed, &first);

    // Another CA: in its turn.
    observed.key = Some(other);
    let known = reported(Some(&first.holding.current), None);
    let turn = RolloverTurn::In(std::time::Duration::from_secs(9));
    let waits = issue_again(&observed, Some(&known), &Given { turn, ..given(after(1)) });
    assert_eq!((&waits.holding, waits.pending), (&first.holding, Some(Pending::RolloverTurn(turn))));
    let moved = issue_again(&observed, Some(&known), &given(after(1)));
    assert_eq!((moved.holding.previous.as_ref(), moved.pending), (Some(&first.holding.current), None));
    written(&mut observed, &moved);
    // Refused: it stays as it is, and going back brings the very same certificate back at once.
    let refused = reported(Some(&first.holding.current), Some(&moved.holding.current));
    assert_eq!(issue_again(&observed, Some(&refused), &given(after(2))).holding, moved.holding);
    let mut back = observed.clone();
    back.key = Some(one);
    let never = RolloverTurn::Paused(std::time::Duration::from_secs(9));
    assert_eq!(
        issue_again(&back, Some(&refused), &Given { turn: never, ..given(after(2)) }).holding,
        first.holding
    );
    // A third CA signed neither.
    let mut third = observed.clone();
    third.key = Some(root("Third"));
    let next = issue_again(&third, Some(&refused), &given(after(2))).holding;
    assert_ne!(next.current, first.holding.current);
    assert_eq!(next.previous.as_ref(), Some(&first.holding.current));
    // Accepted: the previous one is not needed, and going back has its turn.
    let accepted = reported(Some(&moved.holding.current), None);
    let waits = issue_again(&back, Some(&accepted), &Given { turn: never, ..given(after(2)) });
    assert_eq!(
        (&waits.holding.current, waits.pending),
        (&moved.holding.current, Some(Pending::RolloverTurn(never)))
    );
    assert_eq!(issue_again(&observed, Some(&accepted), &given(after(2))).holding.previous, None);
}

/// A server looks for the CA's certificate in the chain, and for its signature on the device's own.
#[test]
fn certificate_needs_the_cas_signature_and_its_certificate() {
    let (key, other) = (rcgen::KeyPair::generate().unwrap(), root("One"));
    let (first, renewed) = (root_with("One", &key, 1), root_with("One", &key, 2));
    let observed = in_group(first.clone());
    let issued = issue_again(&observed, None, &given(noon()));
    let valid = validate(&observed).unwrap();
    let read = |ca| Issuer::read("ca", Some(ca), noon()).unwrap();
    let judged = |credential: &Credential, ca| {
        judge(credential, valid.origin.request().unwrap(), Some(&read(ca)), 0.0, noon())
    };
    let current = &issued.holding.current;
    assert_eq!(judged(current, &first), Verdict::Good);
    assert_eq!(judged(current, &renewed), Verdict::Other, "the key is the same, the certificate is not");
    let moved = current.certified().unwrap().clone().with_chain(read(&other).chain());
    let moved = Credential::Certificate(Box::new(moved));
    assert_eq!(judged(&moved, &other), Verdict::Other, "the chain has the CA, which did not sign");
}

#[test]
fn issuer_name_equals_the_cas_subject_bytes() {
    let mut observed = in_group(domain());
    let issued = issue_again(&observed, None, &given(after(1)));
    let ca = Certificate::read_all(DOMAIN_CA.as_bytes()).unwrap().remove(0);
    let own = leaf(&issued.holding.current);
    assert_eq!(own.issuer, ca.subject);
    assert!(own.is_signed_by(&ca));
    assert_eq!(ca.name, "DC=com, DC=contoso, DC=plant, CN=Plant CA");
    written(&mut observed, &issued);
    assert_eq!(issue_again(&observed, None, &given(after(2))).holding, issued.holding);
}

/// Whatever else is requested, a device without a working credential does not wait.
#[test]
fn device_without_working_credential_does_not_wait() {
    let turn = RolloverTurn::In(std::time::Duration::from_secs(9));
    let mut observed = in_group(root("One"));
    assert_eq!(issue_again(&observed, None, &Given { turn, ..given(noon()) }).pending, None);
    let first = issue_again(&observed, None, &given(noon()));
    written(&mut observed, &first);
    observed.key = Some(root("Other"));
    let late = issue_again(&observed, None, &Given { turn, ..given(after(400)) });
    assert_eq!((late.pending, late.holding.previous.as_ref()), (None, None), "it has expired meanwhile");
    assert_ne!(late.holding.current, first.holding.current);
}

#[test]
fn chain_is_replaced_without_a_new_device_certificate() {
    let ca = root("One");
    let mut observed = in_group(ca.clone());
    let first = issue_again(&observed, None, &given(noon()));
    written(&mut observed, &first);
    // The same CA, and the chain above it was forgotten before: here it is the CA itself, which is its own.
    let twice = format!("{0}{0}", ca.text("tls.crt").unwrap().as_str());
    observed.key = Some(secret(&[("tls.crt", &twice), ("tls.key", &ca.text("tls.key").unwrap())]));
    let second = issue_again(&observed, None, &given(after(1)));
    let text = |issued: &Issued| issued.holding.current.certified().unwrap().certificates();
    assert_eq!(leaf(&first.holding.current), leaf(&second.holding.current));
    assert_eq!((text(&first).matches("BEGIN").count(), text(&second).matches("BEGIN").count()), (2, 3));
    assert_eq!(second.holding.previous, None);
}

/// Files of one credential twice, as if it could fall back on itself.
#[test]
fn previous_credential_differs_from_the_current_one() {
    let ca = root("One");
    let mut observed = in_group(ca.clone());
    let first = issue_again(&observed, None, &given(noon()));
    written(&mut observed, &first);
    let own = Certificate::read_all(ca.bytes("tls.crt").unwrap()).unwrap().remove(0).der().to_vec();
    let longer = first.holding.current.certified().unwrap().clone().with_chain(vec![own.clone(), own]);
    let new = Credential::Certificate(Box::new(longer));
    let stored = observed.stored.unwrap();
    assert!(stored.current.as_ref() != Some(&new));
    for proof in [CredentialsProof::Accepted, CredentialsProof::Untried, CredentialsProof::Refused] {
        assert_eq!(leaving(&stored, &new, proof, LetGo::WhenProven, noon()), None);
    }
}

#[test]
fn pending_key_does_not_delay_a_working_device() {
    let none = Given { keys: false, ..given(noon()) };
    let mut observed = self_signed();
    let known = KnownCredential::default();
    assert_eq!(issue(&validate(&observed).unwrap(), &observed, known, &none), Ok(Issue::Making));
    let first = issue_again(&observed, None, &given(noon()));
    written(&mut observed, &first);
    let waits = issue_again(&observed, None, &Given { keys: false, ..given(after(71)) });
    assert_eq!((&waits.holding, waits.pending), (&first.holding, Some(Pending::Key)));
}

/// A group may change from keys to certificates and back; what works stays beside what is new, whatever it is.
#[test]
fn previous_credential_may_be_of_the_other_kind() {
    let mut observed = crate::given::in_group("{groupRef: {name: a}, deviceId: Press_17}");
    let first = issue_again(&observed, None, &given(noon()));
    written(&mut observed, &first);
    let keys = (observed.group.clone(), observed.key.clone());
    (observed.group, observed.key) = (Some(Arc::new(x509_group())), Some(root("One")));
    let second = issue_again(&observed, None, &given(noon()));
    assert_eq!(second.holding.previous.as_ref(), Some(&first.holding.current));
    let plan = plan(&observed.device, &validate(&observed).unwrap(), second.clone(), &defaults());
    assert_eq!(plan.credentials.type_.as_deref(), Some("kubernetes.io/tls"));
    let names: Vec<_> = plan.credentials.data.unwrap().into_keys().collect();
    assert_eq!(
        names,
        ["deviceId", "dpsEndpoint", "idScope", "previousSharedAccessKey", "tls.crt", "tls.key"]
    );
    written(&mut observed, &second);
    let accepted = reported(Some(&second.holding.current), None);
    (observed.group, observed.key) = keys;
    let third = issue_again(&observed, Some(&accepted), &given(noon()));
    assert_eq!(third.holding.current, first.holding.current);
    assert_eq!(third.holding.previous.as_ref(), Some(&second.holding.current));
}

#[test]
fn an_individual_enrollment_has_a_name_of_its_own() {
    let auth = |auth: &str| {
        let spec = format!(
            "{{deviceId: Gate, dps: {{idScope: 0ne1, endpoint: dps.azure-devices-provisioning.net, registrationId: gate-7, auth: {auth}}}}}"
        );
        DeviceObservation {
            device: Arc::new(device(&spec)),
            key: Some(secret(&[("primaryKey", K32)])),
            ..DeviceObservation::default()
        }
    };
    let key = auth("{symmetricKey: {secretRef: {name: own}}}");
    assert_eq!(
        crate::given::key_of(&issue_again(&key, None, &given(noon()))),
        K32,
        "its own key, not a derived one"
    );
    let Destination::Dps(dps) = validate(&key).unwrap().destination else { panic!("it asks DPS") };
    assert_eq!((dps.registration_id.unwrap().as_str(), dps.id_scope.as_str()), ("gate-7", "0ne1"));
    let issued = issue_again(&auth("{selfSigned: {}}"), None, &given(noon()));
    assert_eq!(leaf(&issued.holding.current).common_name.as_deref(), Some("gate-7"));
    let with_id_of = |length: usize| {
        let id = "d".repeat(length);
        let spec = format!("{{hub: {{hostname: h, auth: {{selfSigned: {{}}}}}}, deviceId: {id}}}");
        validate(&DeviceObservation { device: Arc::new(device(&spec)), ..DeviceObservation::default() })
    };
    assert!(with_id_of(64).is_ok());
    let fault = with_id_of(65).unwrap_err();
    assert!(fault.message.contains("64 characters"), "{}", fault.message);
}

/// Everything that can happen to one device of a group, in any order.
#[derive(Debug, Clone)]
enum Step {
    UseCa(usize),
    UseKeys,
    Pass(i64),
    Try(bool),
    DeleteSecret,
    NotMyTurn,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..2_usize).prop_map(Step::UseCa),
        Just(Step::UseKeys),
        (1..200_i64).prop_map(Step::Pass),
        any::<bool>().prop_map(Step::Try),
        Just(Step::DeleteSecret),
        Just(Step::NotMyTurn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Never a credential of another device, never the same twice, nothing that has ended beside it, and never without one that
    /// works while one worked a moment ago.
    #[test]
    fn any_history_leaves_a_valid_secret(steps in prop::collection::vec(step(), 1..24)) {
        let authorities = [root("One"), root("Other")];
        let keys = crate::given::in_group("{groupRef: {name: a}, deviceId: Press_17}");
        let mut observed = in_group(authorities[0].clone());
        let (mut day, mut turn, mut known) = (0, RolloverTurn::Now, None::<handoff::Credential>);
        let mut worked: Option<Credential> = None;
        for step in steps {
            turn = if matches!(step, Step::NotMyTurn) { RolloverTurn::In(std::time::Duration::from_secs(1)) } else { RolloverTurn::Now };
            match step {
                Step::UseCa(which) => {
                    (observed.group, observed.key) = (Some(Arc::new(x509_group())), Some(authorities[which].clone()));
                }
                Step::UseKeys => (observed.group, observed.key) = (keys.group.clone(), keys.key.clone()),
                Step::Pass(days) => day += days,
                Step::Try(accepted) => {
                    let current = observed.stored.as_ref().and_then(|stored| stored.current.clone());
                    known = current.as_ref().map(|current| match accepted {
                        true => reported(Some(current), None),
                        false => reported(None, Some(current)),
                    });
                    if accepted {
                        worked = current;
                    }
                }
                Step::DeleteSecret => {
                    (observed.stored, worked) = (None, None);
                }
                Step::NotMyTurn => {}
            }
            let now = after(day);
            let issued = issue_again(&observed, known.as_ref(), &Given { turn, ..given(now) });
            let Holding { current, previous, .. } = &issued.holding;
            prop_assert!(is_valid_at(current, now) && Some(current) != previous.as_ref());
            let group = lanyard_protocol::hub::key::SymmetricKey::from_base64(crate::given::K64).unwrap();
            for credential in std::iter::once(current).chain(previous) {
                prop_assert!(is_valid_at(credential, now));
                match credential {
                    Credential::Key(key) => prop_assert_eq!(key, &group.derive("Press_17")),
                    Credential::Certificate(certified) => {
                        prop_assert_eq!(certified.leaf().common_name.as_deref(), Some("press_17"));
                        let again = Certified::read(certified.certificates().as_bytes(), certified.key().as_bytes());
                        prop_assert_eq!(again.as_ref(), Ok(&**certified), "key and certificate belong together");
                    }
                }
            }
            worked = worked.filter(|worked| is_valid_at(worked, now));
            if let Some(worked) = &worked {
                prop_assert!([Some(current), previous.as_ref()].contains(&Some(worked)), "what works is lost");
            }
            written(&mut observed, &issued);
        }
        let _: &IoTDevice = &observed.device;
        let _ = turn;
    }
}
