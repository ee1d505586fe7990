//! The time of a device's next reconcile, when nothing changes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use lanyard_operator::credential::rollover_queue::RolloverTurn;
use lanyard_operator::device::apply::written::{Applied, Written};
use lanyard_operator::device::issue::credential::Pending;
use lanyard_operator::device::report::outcome::Outcome;
use lanyard_operator::device::requeue::{LastSeen, next_reconcile};
use lanyard_operator::fault::Fault;
use lanyard_operator::reason::Reason;

use crate::given::{in_group, through};

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// Returns the outcome of a device whose objects were as planned, after a change.
fn applied(change: impl FnOnce(&mut Applied)) -> Outcome {
    let unchanged = || Ok(Written::Unchanged);
    let (effective, issued, _) = through(&in_group("{groupRef: {name: a}}")).unwrap();
    let issued = Box::new(issued);
    let mut applied =
        Applied { issued, credentials: unchanged(), configuration: unchanged(), workload: unchanged() };
    change(&mut applied);
    Outcome::Applied(Box::new(effective), applied)
}

fn pod(meta: &str) -> Option<Arc<Pod>> {
    Some(Arc::new(serde_saphyr::from_str(&format!("{{metadata: {{name: p{meta}}}}}")).unwrap()))
}

fn with_pod(meta: &str) -> LastSeen {
    let mut seen = LastSeen::default();
    seen.agent.pod = pod(meta);
    seen
}

/// Returns milliseconds, in the middle of the spread.
fn wait(outcome: &Outcome, seen: &LastSeen) -> u128 {
    next_reconcile(outcome, seen, now(), 0.5).as_millis()
}

#[test]
fn working_device_is_reconciled_every_half_hour() {
    assert_eq!(wait(&applied(|_| ()), &with_pod("")), 30 * 60_000);
    let without_agent = applied(|applied| {
        applied.workload = Ok(Written::Absent);
    });
    assert_eq!(wait(&without_agent, &LastSeen::default()), 30 * 60_000);
    let earliest = next_reconcile(&without_agent, &LastSeen::default(), now(), 0.0);
    let latest = next_reconcile(&without_agent, &LastSeen::default(), now(), 1.0);
    assert_eq!(
        (earliest.as_secs(), latest.as_secs()),
        (1350, 2250),
        "restarted operators spread their devices"
    );
}

#[test]
fn missing_pod_is_looked_for_soon() {
    assert_eq!(wait(&applied(|_| ()), &LastSeen::default()), 5_000);
    assert_eq!(wait(&Outcome::Making, &LastSeen::default()), 5_000);
    let mut refused = LastSeen::default();
    refused.agent.no_pod = Some("a quota".to_owned());
    assert_eq!(wait(&applied(|_| ()), &refused), 30_000);
}

#[test]
fn waiting_and_contested_objects_are_tried_again() {
    let waiting = |applied: &mut Applied| applied.workload = Ok(Written::Waiting(String::new()));
    assert_eq!(wait(&applied(waiting), &with_pod("")), 2_000);
    let contested = |applied: &mut Applied| {
        applied.configuration = Ok(Written::Contested(String::new(), Duration::from_secs(8)));
    };
    assert_eq!(wait(&applied(contested), &with_pod("")), 8_000);
}

#[test]
fn ending_pod_is_checked_when_it_should_have_ended() {
    let seconds =
        |ends: &str| wait(&applied(|_| ()), &with_pod(&format!(", deletionTimestamp: {ends}"))) / 1_000;
    // It should have ended two minutes ago: the condition names it, and a watch reports the end.
    assert_eq!(seconds("2023-11-14T22:11:20Z"), 300);
    // It ends now, and has another minute.
    assert_eq!(seconds("2023-11-14T22:13:20Z"), 62);
    assert_eq!(seconds("2023-11-14T22:13:30Z"), 72);
}

#[test]
fn faults_wait_for_a_user_and_refusals_are_retried() {
    let faulty = |reason| Outcome::Faulty(Fault::new(reason, ""));
    assert_eq!(wait(&faulty(Reason::InvalidSpec), &with_pod("")), 300_000);
    assert_eq!(wait(&faulty(Reason::Refused), &with_pod("")), 30_000);
    let duplicate = Outcome::Withdrawn(Fault::new(Reason::DuplicateDeviceId, ""));
    assert_eq!(wait(&duplicate, &with_pod("")), 30_000);
}

#[test]
fn scheduled_actions_are_on_time() {
    let renewal = |seconds: i64| {
        applied(|applied| {
            applied.issued.renewal_at = Some(Timestamp::from_second(1_700_000_000 + seconds).unwrap());
        })
    };
    assert_eq!(wait(&renewal(100), &with_pod("")), 100_050);
    assert_eq!(wait(&renewal(0), &with_pod("")), 30 * 60_000, "it is due now, so it was done now");
    assert_eq!(wait(&renewal(-1), &with_pod("")), 30 * 60_000, "a time that has passed is done");
    assert_eq!(wait(&renewal(7200), &with_pod("")), 30 * 60_000);
    let rollover = |turn| applied(|applied| applied.issued.pending = Some(Pending::RolloverTurn(turn)));
    assert_eq!(wait(&rollover(RolloverTurn::In(Duration::from_secs(4))), &with_pod("")), 4_000);
    assert_eq!(wait(&rollover(RolloverTurn::Paused(Duration::from_secs(60))), &with_pod("")), 60_000);
    // Another object with the same identity has the next turn.
    let claimed = LastSeen { turn: Some(Duration::from_secs(3)), ..with_pod("") };
    assert_eq!(wait(&applied(|_| ()), &claimed), 3_050);
}
