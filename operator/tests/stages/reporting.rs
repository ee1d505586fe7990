//! What users are told: conditions that kubectl, kstatus, Argo CD and Flux read right, and events on transitions only.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use lanyard_crds::status::{ConnectionState, IoTDeviceStatus, ProvisioningState};
use lanyard_operator::device::agents::Report;
use lanyard_operator::device::apply::{Applied, Written};
use lanyard_operator::device::observe::Observed;
use lanyard_operator::device::report::{Outcome, happened, status};
use lanyard_operator::fault::{Fault, Reason};
use lanyard_protocol::handoff::status::AgentStatus;

use crate::given::{K32, at_hub, in_group, through};

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn applied(observed: &Observed) -> Outcome {
    let unchanged = || Ok(Written::Unchanged);
    let applied = Applied { credentials: unchanged(), configuration: unchanged(), workload: unchanged() };
    Outcome::Applied(Box::new(through(observed).unwrap().0), applied)
}

fn said(state: &str, reason: &str) -> Option<Report> {
    let text = format!(
        r#"{{"version":1,"agentVersion":"0.1.0","devices":[{{"name":"press-17","deviceId":"press-17","assignedHub":"hub.example",
        "connection":{{"state":"{state}","since":"2026-01-02T03:04:05Z","reason":"{reason}","message":"words"}}}}]}}"#
    );
    Some(Report::Said(Box::new(serde_json::from_str::<AgentStatus>(&text).unwrap())))
}

fn pod(status: &str) -> Pod {
    serde_saphyr::from_str(&format!("{{metadata: {{name: p}}, status: {status}}}")).unwrap()
}

/// `Ready Reconciling Stalled`, and the reason of Ready.
fn summary(told: &IoTDeviceStatus) -> (String, String) {
    let find = |type_: &str| told.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    let words = ["Ready", "Reconciling", "Stalled"].map(|type_| find(type_).status.clone()).join(" ");
    (words, find("Ready").reason.clone())
}

fn tell(observed: &Observed, outcome: &Outcome) -> IoTDeviceStatus {
    status(observed, &IoTDeviceStatus::default(), outcome, now())
}

#[test]
fn ready_means_connected() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = said("Connected", "Connected");
    let told = tell(&observed, &applied(&observed));
    assert_eq!(summary(&told), ("True False False".into(), "Connected".into()));
    assert_eq!(told.observed_generation, 3);
    assert!(told.conditions.iter().all(|condition| condition.observed_generation == Some(3)));
    assert_eq!(
        (told.provisioning_state, told.assigned_hub.as_deref()),
        (Some(ProvisioningState::Provisioned), Some("hub.example"))
    );
    let connection = told.connection.unwrap();
    assert_eq!(
        (connection.state, connection.since.unwrap().0.to_string().as_str()),
        (ConnectionState::Connected, "2026-01-02T03:04:05Z")
    );
}

#[test]
fn what_goes_on_by_itself_is_reconciling_and_what_waits_for_somebody_is_stalled() {
    for (reason, words) in [
        ("Connecting", "False True False"),
        ("Registering", "False True False"),
        ("ConnectionLost", "False True False"),
        ("HostNotFound", "False True False"),
        ("Renewing", "False True False"),
        ("Unauthorized", "False False True"),
        ("RegistrationUnauthorized", "False False True"),
        ("EnrollmentDisabled", "False False True"),
        ("CertificateNotTrusted", "False False True"),
    ] {
        let mut observed = in_group("{groupRef: {name: a}}");
        observed.agent.report = said("Disconnected", reason);
        assert_eq!(summary(&tell(&observed, &applied(&observed))), (words.into(), reason.into()));
    }
    let observed = in_group("{groupRef: {name: a}}");
    let faulty = Outcome::Faulty(Fault::new(Reason::SecretNotFound, "m"));
    assert_eq!(summary(&tell(&observed, &faulty)), ("False False True".into(), "SecretNotFound".into()));
}

#[test]
fn an_agent_that_does_not_start_says_why() {
    for (state, reason) in [
        ("{}", "AgentStarting"),
        (
            "{containerStatuses: [{name: a, image: i, imageID: '', ready: false, restartCount: 0, state: {waiting: {reason: ImagePullBackOff}}}]}",
            "AgentImageUnavailable",
        ),
        (
            "{containerStatuses: [{name: a, image: i, imageID: '', ready: false, restartCount: 9, state: {waiting: {reason: CrashLoopBackOff}}}]}",
            "AgentCrashing",
        ),
        ("{conditions: [{type: PodScheduled, status: 'False', message: no nodes}]}", "AgentUnschedulable"),
    ] {
        let mut observed = in_group("{groupRef: {name: a}}");
        observed.agent.pod = Some(pod(state).into());
        assert_eq!(summary(&tell(&observed, &applied(&observed))).1, reason);
    }
    // The last words of a crashed agent are what a user needs.
    let crashed = "{containerStatuses: [{name: a, image: i, imageID: '', ready: false, restartCount: 9, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 2, message: \"a\\nconfiguration version 2 is newer\\n\"}}}]}";
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.pod = Some(pod(crashed).into());
    let told = tell(&observed, &applied(&observed));
    assert_eq!(told.conditions[0].message, "pod p ended with exit code 2: configuration version 2 is newer");
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.no_pods = Some("exceeded quota".into());
    assert_eq!(summary(&tell(&observed, &applied(&observed))).1, "AgentPodRefused");
    let running = "{containerStatuses: [{name: a, image: i, imageID: '', ready: true, restartCount: 0, state: {running: {}}}]}";
    observed.agent.pod = Some(pod(running).into());
    observed.agent.report = Some(Report::Silent("refused".into()));
    let told = tell(&observed, &applied(&observed));
    assert_eq!(
        (summary(&told).1.as_str(), told.connection.unwrap().state),
        ("AgentUnreachable", ConnectionState::Unknown)
    );
}

#[test]
fn a_rejected_configuration_waits_for_somebody() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = said("Connected", "Connected");
    let Some(Report::Said(report)) = &mut observed.agent.report else { unreachable!() };
    report.configuration_problem = Some("configuration version 2 is newer".into());
    assert_eq!(
        summary(&tell(&observed, &applied(&observed))),
        ("False False True".into(), "ConfigurationRejected".into())
    );
}

#[test]
fn blocking_remembers_where_the_device_was() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = said("Connected", "Connected");
    let before = tell(&observed, &applied(&observed));
    let blocked = Outcome::Withdrawn(Fault::new(Reason::Blocked, "m"));
    let told = status(&observed, &before, &blocked, now());
    assert_eq!(
        (told.provisioning_state, told.assigned_hub.as_deref()),
        (Some(ProvisioningState::Blocked), Some("hub.example"))
    );
    assert_eq!(
        (told.credentials.clone(), told.connection.as_ref().unwrap().state),
        (None, ConnectionState::Disconnected)
    );
    observed.agent.report = None;
    let again = status(&observed, &told, &applied(&observed), now());
    assert_eq!(again.provisioning_state, Some(ProvisioningState::Provisioned));
}

#[test]
fn a_device_straight_to_a_hub_was_there_only_when_it_was_connected() {
    let mut observed = at_hub(&[("primaryKey", K32)]);
    observed.agent.report = said("Disconnected", "Connecting");
    let told = tell(&observed, &applied(&observed));
    assert_eq!(
        (told.provisioning_state, told.assigned_hub.clone()),
        (Some(ProvisioningState::Registered), None)
    );
    observed.agent.report = said("Connected", "Connected");
    let told = status(&observed, &told, &applied(&observed), now());
    assert_eq!(told.provisioning_state, Some(ProvisioningState::Provisioned));
    observed.agent.report = said("Disconnected", "ConnectionLost");
    let told = status(&observed, &told, &applied(&observed), now());
    assert_eq!(told.provisioning_state, Some(ProvisioningState::Provisioned));
}

#[test]
fn the_second_look_says_the_same_and_no_event() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = said("Connected", "Connected");
    let outcome = applied(&observed);
    let first = tell(&observed, &outcome);
    let events = happened(&IoTDeviceStatus::default(), &first, &outcome);
    assert_eq!((events.len(), events[0].reason.as_str(), events[0].warning), (1, "Connected", false));
    let later = Timestamp::from_second(1_700_009_999).unwrap();
    let second = status(&observed, &first, &outcome, later);
    assert_eq!(second, first);
    assert!(happened(&first, &second, &outcome).is_empty());

    observed.agent.report = said("Disconnected", "ConnectionLost");
    let lost = status(&observed, &first, &outcome, later);
    let events = happened(&first, &lost, &outcome);
    assert_eq!((events.len(), events[0].reason.as_str(), events[0].warning), (1, "ConnectionLost", true));
}
