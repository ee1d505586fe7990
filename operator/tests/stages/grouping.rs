//! A group through its pure stages: its key or CAs, and its status.

use std::sync::Arc;

use jiff::Timestamp;
use lanyard_crds::slot::InUse;
use lanyard_crds::status::{DeviceCounts, ProvisioningGroupStatus};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_operator::fault::Fault;
use lanyard_operator::group::lists::apply::Imported;
use lanyard_operator::group::lists::status::Lists;
use lanyard_operator::group::observe::{GroupObservation, IssuerSeen};
use lanyard_operator::group::report::{GroupOutcome, Verified, happened, status};
use lanyard_operator::group::validate::{ends, issuers, validate};
use lanyard_operator::kubernetes::secret::{Marks, SecretData};
use lanyard_operator::permit::{self, Rules};
use lanyard_operator::reason::Reason;

use crate::authority::{noon, root, signed};
use crate::given::{K64, group, secret};

/// Returns a group whose key is in its Secret.
fn with_key() -> GroupObservation {
    let key = Some(secret(&[("primaryKey", K64)]));
    GroupObservation { group: Arc::new(group()), key, ..GroupObservation::default() }
}

/// Returns a group that uses the CA of a slot.
fn with_cas(in_use: &str, primary: Option<SecretData>, secondary: Option<SecretData>) -> GroupObservation {
    let text = format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {{name: a, namespace: plant, uid: u2, generation: 1}}
spec:
  dps: {{idScope: 0ne00ABCDEF}}
  attestation: {{x509: {{use: {in_use}, issuer: {{secretRef: {{name: ca}}}}, secondaryIssuer: {{secretRef: {{name: next}}}}}}}}
"
    );
    let group: ProvisioningGroup = serde_saphyr::from_str(&text).unwrap();
    let seen = |slot, name: &str, data| IssuerSeen { slot, secret: name.to_owned(), data, answer: None };
    let issuers = vec![seen(InUse::Primary, "ca", primary), seen(InUse::Secondary, "next", secondary)];
    GroupObservation { group: Arc::new(group), issuers, ..GroupObservation::default() }
}

fn outcome(observed: &GroupObservation) -> GroupOutcome {
    let valid = validate(observed, &issuers(observed, noon()));
    GroupOutcome { valid, verification: Verified::default(), lists: Default::default() }
}

/// Returns `Ready Reconciling Stalled`, and the reason of Ready.
fn summary(status: &ProvisioningGroupStatus) -> (String, &str) {
    let find = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    let words = ["Ready", "Reconciling", "Stalled"].map(|type_| find(type_).status.clone()).join(" ");
    (words, &find("Ready").reason)
}

fn tell(observed: &GroupObservation, outcome: &GroupOutcome) -> ProvisioningGroupStatus {
    status(observed, &ProvisioningGroupStatus::default(), outcome, noon())
}

#[test]
fn group_with_a_key_or_a_ca_is_ready() {
    for (observed, reason, message) in [
        (with_key(), "KeyUsable", "the devices' keys are derived from primaryKey in Secret key"),
        (
            with_cas("Primary", Some(root("One")), Some(root("Other"))),
            "IssuerUsable",
            "the devices' certificates are signed by CN=One, which expires at 4096-01-01T00:00:00Z",
        ),
        (
            with_cas("Secondary", Some(root("One")), Some(root("Other"))),
            "IssuerUsable",
            "the devices' certificates are signed by CN=Other, which expires at 4096-01-01T00:00:00Z",
        ),
    ] {
        let result = tell(&observed, &outcome(&observed));
        assert_eq!(summary(&result), ("True False False".to_owned(), reason));
        assert_eq!(result.conditions[0].message, message);
        assert_eq!((result.observed_generation, &result.verification), (1, &None));
        let event = happened(&ProvisioningGroupStatus::default(), &result).unwrap();
        assert_eq!((event.warning, event.reason.as_str()), (false, reason));
        assert!(happened(&result, &result).is_none());
    }
}

#[test]
fn ca_is_reported_with_its_slot() {
    let missing = |name: &str| {
        format!("there is no Secret {name:?} in this namespace: create it with tls.crt and tls.key of the CA")
    };
    let spare = "; it is not in use, devices get certificates of the other";
    for (in_use, primary, secondary, is_usable, message) in [
        ("Primary", None, Some(root("Other")), false, format!("issuer: {}", missing("ca"))),
        ("Secondary", Some(root("One")), None, false, format!("secondaryIssuer: {}", missing("next"))),
        // The one that is not in use is reported before the devices move to it.
        ("Primary", Some(root("One")), None, true, format!("secondaryIssuer: {}{spare}", missing("next"))),
        ("Secondary", None, Some(root("Other")), true, format!("issuer: {}{spare}", missing("ca"))),
    ] {
        let observed = with_cas(in_use, primary, secondary);
        let outcome = outcome(&observed);
        assert_eq!(outcome.valid.is_ok(), is_usable, "{in_use}");
        assert_eq!(outcome.fault().unwrap().message, message);
        let result = tell(&observed, &outcome);
        assert_eq!(summary(&result), ("False False True".to_owned(), "SecretNotFound"));
        assert_eq!(result.conditions[0].message, message);
        assert_eq!(result.rollover.is_some(), is_usable, "{in_use}");
        let event = happened(&ProvisioningGroupStatus::default(), &result).unwrap();
        assert_eq!((event.warning, event.reason), (true, Reason::SecretNotFound));
    }
}

#[test]
fn ca_without_permission_is_not_used() {
    let observed = with_cas("Primary", Some(root("One")), None);
    let refuse = |refused: InUse| {
        let mut usables = issuers(&observed, noon());
        usables.only_permitted(|slot| {
            if slot == refused { Err(Fault::new(Reason::SecretUseMissing, "m")) } else { Ok(()) }
        });
        let faults: Vec<_> = usables.faults.iter().map(|(slot, fault)| (*slot, fault.reason)).collect();
        (usables.issuers.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), faults)
    };
    let (missing, refused) = (Reason::SecretNotFound, Reason::SecretUseMissing);
    assert_eq!(
        refuse(InUse::Primary),
        (vec![], vec![(InUse::Secondary, missing), (InUse::Primary, refused)])
    );
    assert_eq!(refuse(InUse::Secondary), (vec![InUse::Primary], vec![(InUse::Secondary, refused)]));
}

#[test]
fn ends_of_cas_are_known_whatever_else_is_wrong() {
    let (certificate, _, _) = signed("Root", None, |_| ());
    let without_key = secret(&[("tls.crt", &certificate)]);
    let observed = with_cas("Primary", Some(without_key), None);
    let end = Timestamp::from_second(4_102_444_800).unwrap();
    assert_eq!(ends(&observed), [(InUse::Primary, end)], "2100-01-01");
}

#[test]
fn missing_answer_to_a_code_is_reported() {
    let observed = with_key();
    let mut outcome = outcome(&observed);
    outcome.verification.fault = Some(Fault::new(Reason::Conflict, "m"));
    assert_eq!(outcome.fault().map(|fault| fault.reason), Some(Reason::Conflict));
    assert_eq!(summary(&tell(&observed, &outcome)), ("False False True".to_owned(), "Conflict"));
}

#[test]
fn import_in_progress_is_reconciling_unless_a_user_must_act() {
    let observed = with_key();
    let mut outcome = outcome(&observed);
    let lists = |import| Lists { import: Some(import), export: None };
    outcome.lists = lists(Ok(Imported { rows: 9, done: 2, left: 7, ..Imported::default() }));
    let first = tell(&observed, &outcome);
    assert_eq!(summary(&first), ("False True False".to_owned(), "Importing"));
    outcome.lists = lists(Ok(Imported { rows: 9, done: 3, left: 6, ..Imported::default() }));
    let second = tell(&observed, &outcome);
    assert_ne!(first.conditions[0].message, second.conditions[0].message);
    assert!(happened(&first, &second).is_none(), "a step of an import is no event");
    let lost = |message: &str| Err(Fault::new(Reason::ImportNotFound, message));
    outcome.lists = lists(lost("m"));
    assert_eq!(outcome.fault().map(|fault| fault.reason), Some(Reason::ImportNotFound));
    let third = tell(&observed, &outcome);
    outcome.lists = lists(lost("n"));
    assert!(happened(&third, &tell(&observed, &outcome)).is_some(), "another message is one");
    outcome.verification.fault = Some(Fault::new(Reason::Conflict, "m"));
    assert_eq!(summary(&tell(&observed, &outcome)), ("False False True".to_owned(), "Conflict"));
}

#[test]
fn devices_are_counted_by_state_and_connection() {
    let device = |status: &str| -> Arc<IoTDevice> {
        let head = "apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {name: a}, spec: {}";
        Arc::new(
            serde_saphyr::from_str(&format!("{{{head}, status: {{observedGeneration: 1, {status}}}}}"))
                .unwrap(),
        )
    };
    let state = |state: &str, count: usize| vec![device(&format!("provisioningState: {state}")); count];
    let connection = |state: &str| device(&format!("connection: {{state: {state}, reason: r, message: m}}"));
    let mut observed = with_key();
    observed.devices = [
        vec![connection("Connected"), connection("Disconnected"), connection("Connected")],
        state("Registered", 2),
        state("WaitingForApproval", 2),
        state("Provisioned", 3),
        state("Blocked", 4),
        state("Unassociated", 6),
    ]
    .concat();
    let expected = DeviceCounts {
        total: 20,
        registered: 5,
        waiting_for_approval: 2,
        provisioned: 3,
        blocked: 4,
        unassociated: 6,
        connected: 2,
    };
    assert_eq!(tell(&observed, &outcome(&observed)).devices, Some(expected));
}

/// The owner of a Secret decides what its key or CA is used for, and where its signatures go.
#[test]
fn group_uses_secrets_as_their_owners_allow() {
    let declared = |data: SecretData, use_: &str| {
        Some(data.marked(Marks { declared: Some(use_.to_owned()), ..Marks::default() }))
    };
    let rules = Rules { explicit_use: true, ..Rules::default() };
    let reason = |result: Result<(), Fault>| result.err().map(|fault| fault.reason.as_str());
    let key = || secret(&[("primaryKey", K64)]);
    for (data, expected) in [
        (declared(key(), "group-key"), None),
        (declared(key(), "device-key"), Some("SecretUseMismatch")),
        (
            declared(secret(&[("primaryKey", K64), ("idScope", "0neOTHER")]), "group-key"),
            Some("DestinationNotAllowed"),
        ),
        (Some(key()), Some("SecretUseMissing")),
    ] {
        let observed = GroupObservation { key: data, ..with_key() };
        assert_eq!(reason(permit::group(&observed, &rules)), expected);
    }
    let mut elsewhere = with_key();
    Arc::make_mut(&mut elsewhere.group).spec.dps.endpoint = "dps.example".to_owned();
    assert_eq!(reason(permit::group(&elsewhere, &Rules::default())), Some("EndpointNotAllowed"));
    let observed = with_cas("Primary", declared(root("One"), "issuer"), declared(root("Other"), "group-key"));
    assert_eq!(reason(permit::issuer(&observed, InUse::Primary, &rules)), None);
    assert_eq!(reason(permit::issuer(&observed, InUse::Secondary, &rules)), Some("SecretUseMismatch"));
    let missing = GroupObservation { key: Some(key()), ..with_key() };
    let fault = permit::group(&missing, &rules).unwrap_err();
    assert!(
        fault.message.contains("`kubectl -n plant label secret key lanyard.dev/use=group-key`"),
        "{}",
        fault.message
    );
}
