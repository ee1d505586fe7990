//! Conditions that kubectl, kstatus, Argo CD and Flux read, and events on transitions only.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use lanyard_crds::status::{ConnectionState, IoTDeviceStatus, ProvisioningState};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_handoff::status::AgentStatus;
use lanyard_operator::agents::report::Report;
use lanyard_operator::device::apply::written::{Applied, Written};
use lanyard_operator::device::observe::observation::DeviceObservation;
use lanyard_operator::device::report::outcome::Outcome;
use lanyard_operator::device::report::status::{happened, status};
use lanyard_operator::fault::Fault;
use lanyard_operator::kubernetes::key::Key;
use lanyard_operator::reason::Reason;

use crate::given::{K32, at_hub, in_group, through};

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn applied(observed: &DeviceObservation) -> Outcome {
    let unchanged = || Ok(Written::Unchanged);
    let (valid, issued, _) = through(observed).unwrap();
    let issued = Box::new(issued);
    let applied =
        Applied { issued, credentials: unchanged(), configuration: unchanged(), workload: unchanged() };
    Outcome::Applied(Box::new(valid), applied)
}

/// Returns the outcome of a device that validate removes from the hub.
fn withdrawn(observed: &DeviceObservation) -> Outcome {
    let fault = through(observed).unwrap_err();
    assert!(fault.reason.withdraws());
    Outcome::Withdrawn(fault)
}

fn report(state: &str, reason: &str) -> Option<Report> {
    let text = format!(
        r#"{{"version":1,"agentVersion":"0.1.0","devices":[{{"name":"press-17","deviceId":"press-17","uid":"u1","assignedHub":"hub.example",
        "connection":{{"state":"{state}","since":"2026-01-02T03:04:05Z","reason":"{reason}","message":"words"}}}}]}}"#
    );
    Some(Report::Status(Box::new(serde_json::from_str::<AgentStatus>(&text).unwrap())))
}

fn pod(status: &str) -> Pod {
    serde_saphyr::from_str(&format!("{{metadata: {{name: p}}, status: {status}}}")).unwrap()
}

/// Returns `Ready Reconciling Stalled`, and the reason of Ready.
fn summary(result: &IoTDeviceStatus) -> (String, String) {
    let find = |type_: &str| result.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    let words = ["Ready", "Reconciling", "Stalled"].map(|type_| find(type_).status.clone()).join(" ");
    (words, find("Ready").reason.clone())
}

/// Returns status and reason of a condition, and its message.
fn condition<'a>(result: &'a IoTDeviceStatus, type_: &str) -> (&'a str, &'a str, &'a str) {
    let found = result.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    (&found.status, &found.reason, &found.message)
}

fn tell(observed: &DeviceObservation, outcome: &Outcome) -> IoTDeviceStatus {
    status(observed, &IoTDeviceStatus::default(), outcome, now())
}

#[test]
fn ready_means_connected() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = report("Connected", "Connected");
    let result = tell(&observed, &applied(&observed));
    assert_eq!(summary(&result), ("True False False".into(), "Connected".into()));
    assert_eq!(result.observed_generation, 3);
    assert!(result.conditions.iter().all(|condition| condition.observed_generation == Some(3)));
    assert_eq!(
        (result.provisioning_state, result.assigned_hub.as_deref()),
        (Some(ProvisioningState::Provisioned), Some("hub.example"))
    );
    let connection = result.connection.unwrap();
    assert_eq!(
        (connection.state, connection.since.unwrap().0.to_string().as_str()),
        (ConnectionState::Connected, "2026-01-02T03:04:05Z")
    );
}

#[test]
fn h1_a_connection_is_recorded_as_the_proof() {
    let mut observed = in_group("{groupRef: {name: a}}");
    let first = tell(&observed, &applied(&observed));
    assert_eq!(first.claim, None, "nothing is proven yet");
    observed.agent.report = report("Connected", "Connected");
    let result = tell(&observed, &applied(&observed)).claim.unwrap();
    assert_eq!(result.identities, ["dps:0ne00ABCDEF/press-17", "hub:hub.example/press-17"]);
    assert_eq!((result.uid.as_str(), result.since.0), ("u1", now()));
    // It stays while the agent is away, and begins again with another identity or another object.
    observed.agent.report = None;
    let before = IoTDeviceStatus { claim: Some(result.clone()), ..IoTDeviceStatus::default() };
    let later =
        |observed: &DeviceObservation| status(observed, &before, &applied(observed), Timestamp::MAX).claim;
    assert_eq!(later(&observed), Some(result));
    Arc::make_mut(observed.group.as_mut().unwrap()).spec.dps.id_scope = "0neOTHER".to_owned();
    assert_eq!(later(&observed), None);
    let mut again = in_group("{groupRef: {name: a}}");
    Arc::make_mut(&mut again.device).metadata.uid = Some("u9".to_owned());
    assert_eq!(later(&again), None);
}

#[test]
fn h1_a_refused_device_keeps_its_credentials() {
    let mut observed = in_group("{groupRef: {name: a}}");
    let before = tell(&observed, &applied(&observed));
    assert!(before.credentials.is_some());
    observed.contest.holder = Some(Key::new("elsewhere", "press-17"));
    let result = status(&observed, &before, &withdrawn(&observed), now());
    assert_eq!(summary(&result), ("False False True".into(), "DuplicateDeviceId".into()));
    assert_eq!(result.credentials, before.credentials);
    assert!(!format!("{result:?}").contains("elsewhere"), "a stranger is not named");
}

#[test]
fn progress_is_reconciling_and_user_errors_are_stalled() {
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
        observed.agent.report = report("Disconnected", reason);
        assert_eq!(summary(&tell(&observed, &applied(&observed))), (words.into(), reason.into()));
    }
    let observed = in_group("{groupRef: {name: a}}");
    let faulty = Outcome::Faulty(Fault::new(Reason::SecretNotFound, "m"));
    assert_eq!(summary(&tell(&observed, &faulty)), ("False False True".into(), "SecretNotFound".into()));
}

/// The name of its Secret is taken, so the agent is not touched either, and both conditions say so.
#[test]
fn agent_without_its_own_secret_names_the_owner() {
    let observed = in_group("{groupRef: {name: a}}");
    let Outcome::Applied(valid, applied) = applied(&observed) else { panic!("it is applied") };
    let fault = Fault::new(Reason::Conflict, "Secret ca has another owner");
    let (credentials, workload) = (Err(fault.clone()), Err(fault));
    let result = tell(&observed, &Outcome::Applied(valid, Applied { credentials, workload, ..applied }));
    assert_eq!(summary(&result), ("False False True".into(), "Conflict".into()));
    for type_ in ["CredentialsReady", "AgentReady"] {
        let condition = result.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "Conflict"), "{type_}");
    }
}

#[test]
fn agent_that_cannot_start_reports_the_reason() {
    for (state, reason) in [
        ("{}", "AgentStarting"),
        (
            "{containerStatuses: [{name: a, image: i, imageID: '', ready: false, restartCount: 0, state: {waiting: \
                {reason: ImagePullBackOff}}}]}",
            "AgentImageUnavailable",
        ),
        (
            "{containerStatuses: [{name: a, image: i, imageID: '', ready: false, restartCount: 9, state: {waiting: \
                {reason: CrashLoopBackOff}}}]}",
            "AgentCrashing",
        ),
        ("{conditions: [{type: PodScheduled, status: 'False', message: no nodes}]}", "AgentUnschedulable"),
        (
            "{containerStatuses: [{name: a, image: i, imageID: '', ready: false, restartCount: 0, state: {terminated: \
                {exitCode: 1}}}]}",
            "AgentCrashing",
        ),
    ] {
        let mut observed = in_group("{groupRef: {name: a}}");
        observed.agent.pod = Some(pod(state).into());
        assert_eq!(summary(&tell(&observed, &applied(&observed))).1, reason);
    }
    // A pod that is being made has no problem yet.
    let creating = "{containerStatuses: [{name: a, image: i, imageID: '', ready: false, restartCount: 0, state: {waiting: \
        {reason: ContainerCreating}}}]}";
    let [no_status, creating] = ["{}", creating].map(|state| {
        let mut observed = in_group("{groupRef: {name: a}}");
        observed.agent.pod = Some(pod(state).into());
        condition(&tell(&observed, &applied(&observed)), "AgentReady").2.to_owned()
    });
    assert_eq!(creating, no_status);
    // The last words of a crashed agent are what a user needs.
    let crashed = "{containerStatuses: [{name: a, image: i, imageID: '', ready: false, restartCount: 9, state: \
        {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 2, message: \"a\\nconfiguration \
        version 2 is newer\\n\"}}}]}";
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.pod = Some(pod(crashed).into());
    let result = tell(&observed, &applied(&observed));
    assert_eq!(
        result.conditions[0].message,
        "pod p ended with exit code 2: configuration version 2 is newer"
    );
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.no_pod = Some("exceeded quota".into());
    assert_eq!(summary(&tell(&observed, &applied(&observed))).1, "AgentPodRefused");
    let running = "{containerStatuses: [{name: a, image: i, imageID: '', ready: true, restartCount: 0, state: {running: {}}}]}";
    observed.agent.pod = Some(pod(running).into());
    observed.agent.report = Some(Report::Silent("refused".into()));
    let result = tell(&observed, &applied(&observed));
    assert_eq!(
        (summary(&result).1.as_str(), result.connection.unwrap().state),
        ("AgentUnreachable", ConnectionState::Unknown)
    );
}

#[test]
fn agent_waits_for_its_objects() {
    let observed = in_group("{groupRef: {name: a}}");
    let Outcome::Applied(valid, unchanged) = applied(&observed) else { unreachable!() };
    let contested = || Ok(Written::Contested("who".into(), std::time::Duration::ZERO));
    let waiting = || Ok(Written::Waiting("why".into()));
    for (changed, expected) in [
        (Applied { workload: waiting(), ..unchanged.clone() }, ("False", "Waiting", "why")),
        (Applied { workload: contested(), ..unchanged.clone() }, ("False", "Contested", "who")),
        (Applied { configuration: contested(), ..unchanged.clone() }, ("False", "Contested", "who")),
    ] {
        let result = tell(&observed, &Outcome::Applied(valid.clone(), changed));
        assert_eq!(condition(&result, "AgentReady"), expected);
    }
    for (changed, expected) in [
        (Applied { credentials: waiting(), ..unchanged.clone() }, ("False", "Waiting", "why")),
        (Applied { credentials: contested(), ..unchanged }, ("False", "Contested", "who")),
    ] {
        let result = tell(&observed, &Outcome::Applied(valid.clone(), changed));
        assert_eq!(condition(&result, "CredentialsReady"), expected);
    }
}

#[test]
fn running_pod_counts_when_the_agent_answers() {
    let mut observed = in_group("{groupRef: {name: a}}");
    let running = "{containerStatuses: [{name: a, image: i, imageID: '', ready: true, restartCount: 0, state: {running: {}}}]}";
    observed.agent.pod = Some(pod(running).into());
    assert_eq!(condition(&tell(&observed, &applied(&observed)), "AgentReady").1, "AgentStarting");
    observed.agent.report = report("Connected", "Connected");
    let result = tell(&observed, &applied(&observed));
    assert_eq!(condition(&result, "AgentReady"), ("True", "Running", "agent 0.1.0 runs"));
}

#[test]
fn connection_has_a_reason_and_a_message() {
    let observed = in_group("{groupRef: {name: a}}");
    let silent = |state: &str, reason: &str, hub: Option<&str>| {
        let mut report = report(state, reason);
        let Some(Report::Status(status)) = &mut report else { unreachable!() };
        status.devices[0].assigned_hub = hub.map(str::to_owned);
        status.devices[0].connection.message.clear();
        report
    };
    let mut stranger = report("Connected", "Connected");
    let Some(Report::Status(status)) = &mut stranger else { unreachable!() };
    status.devices.clear();
    let ignored = "the answer of the agent's pod is ignored: why; if this continues, delete the pod and find the program that changes it";
    let hub = Some("hub.example");
    for (report, expected) in [
        (None, ("Unknown", "AgentNotRunning", "no agent answers")),
        (
            Some(Report::Silent("refused".into())),
            ("Unknown", "AgentUnreachable", "the agent's /status cannot be read: refused"),
        ),
        (Some(Report::Contradicts("why".into())), ("Unknown", "AnswerIgnored", ignored)),
        (stranger, ("Unknown", "Connecting", "the agent does not know the device yet")),
        (report("Connected", "Connected"), ("True", "Connected", "words")),
        (silent("Connected", "Connected", hub), ("True", "Connected", "connected to hub.example")),
        (silent("Disconnected", "Connecting", hub), ("False", "Connecting", "connecting to hub.example")),
        (silent("Disconnected", "Connecting", None), ("False", "Connecting", "connecting to the hub")),
        (silent("Disconnected", "Registering", None), ("False", "Registering", "asking DPS for the hub")),
        (silent("Disconnected", "Unauthorized", hub), ("False", "Unauthorized", "")),
    ] {
        let mut observed = observed.clone();
        observed.agent.report = report;
        let result = tell(&observed, &applied(&observed));
        assert_eq!(condition(&result, "Connected"), expected);
    }
}

/// The agent reports the time itself, unless it does not answer.
#[test]
fn unknown_connection_has_the_time_since_its_reason() {
    let mut observed = in_group("{groupRef: {name: a}}");
    let later = |seconds: i64| Timestamp::from_second(now().as_second() + seconds).unwrap();
    let first = tell(&observed, &applied(&observed));
    let since = |result: &IoTDeviceStatus| result.connection.clone().unwrap().since.unwrap().0;
    let second = status(&observed, &first, &applied(&observed), later(10));
    assert_eq!((since(&first), since(&second)), (now(), now()));
    observed.agent.report = Some(Report::Silent("refused".into()));
    let third = status(&observed, &second, &applied(&observed), later(20));
    assert_eq!(since(&third), later(20), "it is unknown for another reason");
}

#[test]
fn credential_is_reported_with_its_origin() {
    for (observed, words) in [
        (
            in_group("{groupRef: {name: a}}"),
            "Secret press-17-credentials holds the device's key, derived from the primaryKey of ProvisioningGroup a",
        ),
        (
            at_hub(&[("primaryKey", K32)]),
            "Secret press-17-credentials holds the device's key, from Secret own",
        ),
    ] {
        let result = tell(&observed, &applied(&observed));
        assert_eq!(condition(&result, "CredentialsReady"), ("True", "Issued", words));
    }
    // Nothing new can be issued: what is there still works.
    let observed = in_group("{groupRef: {name: a}}");
    let before = tell(&observed, &applied(&observed));
    let faulty = Outcome::Faulty(Fault::new(Reason::SecretNotFound, "m"));
    for (before, words) in
        [(IoTDeviceStatus::default(), "m"), (before, "m; the agent continues with its current credentials")]
    {
        let result = status(&observed, &before, &faulty, now());
        assert_eq!(condition(&result, "CredentialsReady"), ("False", "SecretNotFound", words));
    }
}

#[test]
fn written_objects_are_events() {
    let observed = in_group("{groupRef: {name: a}}");
    let Outcome::Applied(valid, unchanged) = applied(&observed) else { unreachable!() };
    let (secret, workload) = ("wrote Secret press-17-credentials", "wrote StatefulSet press-17-agent");
    let after = tell(&observed, &applied(&observed));
    let mut other = after.clone();
    other.credentials.as_mut().unwrap().fingerprint = Some("other".into());
    let updated = || Ok(Written::Updated { specification: true });
    for (before, written, issue, deploy) in [
        (&after, Ok(Written::Created), "CredentialsIssued", "AgentDeployed"),
        (&after, updated(), "CredentialsUpdated", "AgentUpdated"),
        (&other, updated(), "CredentialsRenewed", "AgentUpdated"),
    ] {
        let changed = Applied { credentials: written.clone(), workload: written, ..unchanged.clone() };
        let events = happened(before, &after, &Outcome::Applied(valid.clone(), changed));
        let events: Vec<_> = events
            .iter()
            .map(|event| (event.warning, event.reason.as_str(), event.message.as_str()))
            .collect();
        assert_eq!(events, [(false, issue, secret), (false, deploy, workload)]);
    }
    assert!(happened(&after, &after, &Outcome::Applied(valid, unchanged)).is_empty());
}

/// Its name is taken, and it may still be connected.
#[test]
fn stuck_pod_is_reported_with_the_fix() {
    let deleted = |by: i64, more: &str| -> Pod {
        let by = Timestamp::from_second(by).unwrap();
        serde_saphyr::from_str(&format!("{{metadata: {{name: p-0, deletionTimestamp: '{by}'}}, {more}}}"))
            .unwrap()
    };
    let on_node = "spec: {nodeName: edge-7, containers: []}";
    let second = now().as_second();
    for (pod, reason, summary_words, words) in [
        (deleted(second + 40, on_node), "AgentStarting", "False True False", "is starting"),
        (deleted(second - 59, on_node), "AgentStarting", "False True False", "is starting"),
        (deleted(second - 60, on_node), "AgentPodStuck", "False False True", "kubectl delete node edge-7"),
        (deleted(second - 9999, on_node), "AgentPodStuck", "False False True", "taint node edge-7"),
        (deleted(second - 60, "spec: {containers: []}"), "AgentPodStuck", "False False True", "finalizers"),
    ] {
        let mut observed = in_group("{groupRef: {name: a}}");
        observed.agent.pod = Some(pod.into());
        let result = tell(&observed, &applied(&observed));
        assert_eq!(summary(&result), (summary_words.into(), reason.into()));
        assert!(result.conditions[0].message.contains(words), "{}", result.conditions[0].message);
    }
    // The same for one that blocks a new agent.
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.pod = Some(deleted(second - 60, on_node).into());
    let Outcome::Applied(valid, applied) = applied(&observed) else { unreachable!() };
    let waits = Applied { workload: Ok(Written::Waiting("w".into())), ..applied };
    let result = tell(&observed, &Outcome::Applied(valid, waits));
    assert_eq!(summary(&result).1, "AgentPodStuck");
}

/// Connected it still is, but not as the newest generation wants it.
#[test]
fn an_agent_of_an_older_specification_is_not_ready() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = report("Connected", "Connected");
    let Outcome::Applied(valid, unchanged) = applied(&observed) else { unreachable!() };
    for (specification, outdated, words) in [
        (false, false, "True False False"),
        (true, false, "False True False"),
        (false, true, "False True False"),
    ] {
        observed.agent.outdated = outdated;
        let applied = Applied { workload: Ok(Written::Updated { specification }), ..unchanged.clone() };
        let outcome = Outcome::Applied(valid.clone(), applied);
        let result = tell(&observed, &outcome);
        assert_eq!(summary(&result).0, words, "{specification} {outdated}");
        assert_eq!(result.connection.unwrap().state, ConnectionState::Connected);
    }
    // Why an older pod does not run matters more.
    observed.agent.report = None;
    let failed = "{containerStatuses: [{name: a, image: i, imageID: '', ready: false, restartCount: 0, state: \
        {waiting: {reason: ImagePullBackOff}}}]}";
    observed.agent.pod = Some(pod(failed).into());
    assert_eq!(summary(&tell(&observed, &applied(&observed))).1, "AgentImageUnavailable");
}

#[test]
fn unknown_reason_of_a_newer_agent_is_in_the_message() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = report("Disconnected", "EatenByMice");
    let result = tell(&observed, &applied(&observed));
    assert_eq!(summary(&result).1, "Unknown");
    let message = "the agent reports reason \"EatenByMice\", which this operator does not know: upgrade the operator; words";
    assert_eq!(result.connection.unwrap().message, message);
    let connected = result.conditions.iter().find(|condition| condition.type_ == "Connected").unwrap();
    assert_eq!((connected.reason.as_str(), connected.message.as_str()), ("Unknown", message));
}

#[test]
fn rejected_configuration_is_stalled() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = report("Connected", "Connected");
    let Some(Report::Status(report)) = &mut observed.agent.report else { unreachable!() };
    report.configuration_problem = Some("configuration version 2 is newer".into());
    assert_eq!(
        summary(&tell(&observed, &applied(&observed))),
        ("False False True".into(), "ConfigurationRejected".into())
    );
}

/// Tags that the schema accepts and the agent cannot read are reported in the status, once.
#[test]
fn unreadable_tags_are_reported() {
    let many: Vec<_> = std::iter::once("tag \"A\": use RAMP").chain(["b"; 19]).collect();
    for (problems, words) in [
        (&many[..19], "tag \"A\": use RAMP; and 18 more tags cannot be read"),
        // The operator keeps twenty of an answer.
        (&many[..], "tag \"A\": use RAMP; and 19 or more other tags cannot be read"),
        (&["tag \"A\": use RAMP"][..], "tag \"A\": use RAMP"),
        (&["tag \"A\": use RAMP", "b"], "tag \"A\": use RAMP; and 1 more tag cannot be read"),
        (&["tag \"A\": use RAMP", "b", "c"], "tag \"A\": use RAMP; and 2 more tags cannot be read"),
    ] {
        for (state, reason) in [("Connected", "Connected"), ("Disconnected", "ConnectionLost")] {
            let mut observed = in_group("{groupRef: {name: a}}");
            observed.agent.report = report(state, reason);
            let Some(Report::Status(report)) = &mut observed.agent.report else { unreachable!() };
            report.devices[0].problems = problems.iter().map(|&problem| problem.to_owned()).collect();
            let result = tell(&observed, &applied(&observed));
            assert_eq!(summary(&result), ("False False True".into(), "TagsRejected".into()), "{state}");
            let find =
                |type_: &str| result.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
            assert_eq!((find("AgentReady").message.as_str(), find("Ready").message.as_str()), (words, words));
            let connection = result.connection.as_ref().unwrap();
            assert_eq!((find("Connected").reason.as_str(), connection.message.as_str()), (reason, "words"));
            let events = happened(&IoTDeviceStatus::default(), &result, &applied(&observed));
            assert_eq!((events[0].reason.as_str(), events[0].warning), ("TagsRejected", true));
            // Another document of the agent that is refused whole matters more.
            let Some(Report::Status(report)) = &mut observed.agent.report else { unreachable!() };
            report.configuration_problem = Some("version 2 is newer".into());
            assert_eq!(summary(&tell(&observed, &applied(&observed))).1, "ConfigurationRejected");
        }
    }
}

#[test]
fn blocking_remembers_where_the_device_was() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = report("Connected", "Connected");
    let before = tell(&observed, &applied(&observed));
    let blocked = in_group("{groupRef: {name: a}, blocked: true}");
    let result = status(&blocked, &before, &withdrawn(&blocked), now());
    assert_eq!(
        (result.provisioning_state, result.assigned_hub.as_deref()),
        (Some(ProvisioningState::Blocked), Some("hub.example"))
    );
    assert_eq!(result.state_before_block, Some(ProvisioningState::Provisioned));
    let events: Vec<_> = happened(&before, &result, &withdrawn(&blocked))
        .into_iter()
        .map(|event| (event.warning, event.reason))
        .collect();
    assert_eq!(events, [(false, Reason::Blocked)], "a user requested it");
    let (ready, reason, message) = condition(&result, "AgentReady");
    assert_eq!((ready, reason), ("False", "Blocked"));
    assert!(message.starts_with("spec.blocked is set: the operator removes the agent"), "{message}");
    assert_eq!(
        (result.credentials.clone(), result.connection.as_ref().unwrap().state),
        (None, ConnectionState::Disconnected)
    );
    observed.agent.report = None;
    let again = status(&observed, &result, &applied(&observed), now());
    assert_eq!(
        (again.provisioning_state, again.state_before_block),
        (Some(ProvisioningState::Provisioned), None)
    );
}

/// The group became Manual meanwhile, and the first look after unblocking gives it nothing.
#[test]
fn admitted_device_needs_no_approval_after_a_block() {
    let mut observed = in_group("{groupRef: {name: a}}");
    let before = tell(&observed, &applied(&observed));
    let mut group = ProvisioningGroup::clone(observed.group.as_ref().unwrap());
    group.spec.approval = Some(lanyard_crds::group::Approval::Manual);
    let mut blocked = in_group("{groupRef: {name: a}, blocked: true}");
    blocked.group = Some(group.clone().into());
    Arc::make_mut(&mut blocked.device).status = Some(before.clone());
    let mut result = status(&blocked, &before, &withdrawn(&blocked), now());
    observed.group = Some(group.into());
    for _ in 0..2 {
        let mut device = IoTDevice::clone(&observed.device);
        device.status = Some(result.clone());
        observed.device = device.into();
        let nothing = Outcome::Faulty(Fault::new(Reason::SecretNotFound, "f"));
        result = status(&observed, &result, &nothing, now());
        assert_eq!(
            (result.provisioning_state, result.credentials.clone()),
            (Some(ProvisioningState::Registered), None)
        );
    }
    let result = status(&observed, &result, &applied(&observed), now());
    assert!(result.credentials.is_some() && result.state_before_block.is_none());
}

/// kstatus reads InProgress: there is no error, and a user is awaited.
#[test]
fn waiting_device_names_the_approval_command() {
    let mut observed = in_group("{groupRef: {name: a}}");
    let mut group = ProvisioningGroup::clone(observed.group.as_ref().unwrap());
    group.spec.approval = Some(lanyard_crds::group::Approval::Manual);
    observed.group = Some(group.into());
    let outcome = withdrawn(&observed);
    let result = tell(&observed, &outcome);
    assert_eq!(summary(&result), ("False True False".into(), "WaitingForApproval".into()));
    assert_eq!(result.provisioning_state, Some(ProvisioningState::WaitingForApproval));
    let message = &result.conditions[0].message;
    let group = "approval of ProvisioningGroup a is Manual: approve the device with ";
    let command = r#"`kubectl --namespace plant patch iotdevice press-17 --type merge --patch '{"spec":{"approved":true}}'`"#;
    assert_eq!(message.strip_prefix(group), Some(command), "{message}");
    let events = happened(&IoTDeviceStatus::default(), &result, &outcome);
    assert_eq!((events.len(), events[0].warning), (1, false));
    let mut device = IoTDevice::clone(&observed.device);
    device.spec.approved = true;
    observed.device = device.into();
    let result = status(&observed, &result, &applied(&observed), now());
    assert_eq!(result.provisioning_state, Some(ProvisioningState::Registered));
}

/// The credentials are all that is asked for.
#[test]
fn device_without_an_agent_is_ready_with_its_credentials() {
    let mut observed = in_group("{groupRef: {name: a}, agent: {mode: None}}");
    let Outcome::Applied(valid, unchanged) = applied(&observed) else { unreachable!() };
    let absent = || Ok(Written::Absent);
    let outcome =
        Outcome::Applied(valid, Applied { configuration: absent(), workload: absent(), ..unchanged });
    let result = tell(&observed, &outcome);
    assert_eq!(summary(&result).0, "True False False");
    let find = |result: &IoTDeviceStatus, type_: &str| {
        let found = result.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
        (found.status.clone(), found.reason.clone())
    };
    assert_eq!(find(&result, "AgentReady"), ("True".into(), "NoAgent".into()));
    let message = "agent.mode is None: the operator cannot see the connection of this device";
    assert_eq!(condition(&result, "Connected"), ("Unknown", "NoAgent", message));
    assert_eq!(result.connection.as_ref().unwrap().state, ConnectionState::Unknown);
    assert_eq!(result.provisioning_state, Some(ProvisioningState::Registered));
    // The previous agent, while it exists.
    observed.agent.pod = Some(pod("{}").into());
    observed.agent.report = report("Connected", "Connected");
    let result = status(&observed, &result, &outcome, now());
    assert_eq!(summary(&result), ("False True False".into(), "AgentEnding".into()));
    assert_eq!(result.connection.as_ref().unwrap().state, ConnectionState::Connected);
    // What it said last counts no more when it is gone.
    observed.agent.pod = None;
    assert_eq!(summary(&status(&observed, &result, &outcome, now())).0, "True False False");
}

/// DPS may assign another hub any day.
#[test]
fn the_assigned_hub_follows_the_agent() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = report("Connected", "Connected");
    let result = tell(&observed, &applied(&observed));
    observed.agent.report = None;
    let silent = status(&observed, &result, &applied(&observed), now());
    assert_eq!(silent.assigned_hub.as_deref(), Some("hub.example"));
    observed.agent.report = report("Disconnected", "Connecting");
    let Some(Report::Status(report)) = &mut observed.agent.report else { unreachable!() };
    report.devices[0].assigned_hub = Some("other.example".into());
    let moved = status(&observed, &silent, &applied(&observed), now());
    assert_eq!(
        (moved.provisioning_state, moved.assigned_hub.as_deref()),
        (Some(ProvisioningState::Provisioned), Some("other.example"))
    );
}

#[test]
fn direct_device_counts_as_provisioned_after_connecting() {
    let mut observed = at_hub(&[("primaryKey", K32)]);
    let mut device = IoTDevice::clone(&observed.device);
    device.spec.model_id = Some("dtmi:contoso:Press;1".into());
    observed.device = device.into();
    observed.agent.report = report("Disconnected", "Connecting");
    let result = tell(&observed, &applied(&observed));
    assert_eq!(
        (result.provisioning_state, result.assigned_hub.clone()),
        (Some(ProvisioningState::Registered), None)
    );
    observed.agent.report = report("Connected", "Connected");
    let result = status(&observed, &result, &applied(&observed), now());
    assert_eq!(result.provisioning_state, Some(ProvisioningState::Provisioned));
    observed.agent.report = report("Disconnected", "ConnectionLost");
    let result = status(&observed, &result, &applied(&observed), now());
    assert_eq!(result.provisioning_state, Some(ProvisioningState::Provisioned));
}

#[test]
fn second_reconcile_reports_the_same_without_an_event() {
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.agent.report = report("Connected", "Connected");
    let outcome = applied(&observed);
    let first = tell(&observed, &outcome);
    let events = happened(&IoTDeviceStatus::default(), &first, &outcome);
    assert_eq!((events.len(), events[0].reason.as_str(), events[0].warning), (1, "Connected", false));
    let later = Timestamp::from_second(1_700_009_999).unwrap();
    let second = status(&observed, &first, &outcome, later);
    assert_eq!(second, first);
    assert!(happened(&first, &second, &outcome).is_empty());

    observed.agent.report = report("Disconnected", "ConnectionLost");
    let lost = status(&observed, &first, &outcome, later);
    let events = happened(&first, &lost, &outcome);
    assert_eq!((events.len(), events[0].reason.as_str(), events[0].warning), (1, "ConnectionLost", true));
}
