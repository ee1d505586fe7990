//! Messages about credentials: refusals, turns, and expiries.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lanyard_crds::IoTDevice;
use lanyard_crds::slot::InUse;
use lanyard_crds::status::{CredentialsProof, IoTDeviceStatus};
use lanyard_handoff::status::AgentStatus;
use lanyard_operator::agents::report::Report;
use lanyard_operator::credential::leaf::{self, LeafRequest};
use lanyard_operator::credential::pair::{KeyKind, Pair};
use lanyard_operator::credential::rollover_queue::RolloverTurn;
use lanyard_operator::credential::stored::{Credential, Holding, StoredCredentials};
use lanyard_operator::device::apply::written::{Applied, Written};
use lanyard_operator::device::issue::credential::{Issued, Pending};
use lanyard_operator::device::observe::observation::DeviceObservation;
use lanyard_operator::device::report::outcome::Outcome;
use lanyard_operator::device::report::status::{happened, status};
use lanyard_operator::device::validate::effective::validate;
use lanyard_operator::fault::Fault;
use lanyard_operator::group::rollover;
use lanyard_operator::reason::Reason;

use crate::authority::noon;
use crate::given::device;

const HOUR: i64 = 3600;

fn after(hours: i64) -> Timestamp {
    Timestamp::from_second(noon().as_second() + hours * HOUR).unwrap()
}

/// Creates a certificate of a hundred hours that was made at this hour.
fn made(hour: i64) -> Credential {
    made_for(100, hour)
}

fn made_for(hours: u64, hour: i64) -> Credential {
    let request = LeafRequest {
        common_name: "press-17".to_owned(),
        duration: Duration::from_secs(hours * 3600),
        renew_before: Duration::from_secs(30 * 3600),
        key: KeyKind::P256,
    };
    let pair = Pair::generate(KeyKind::P256).unwrap();
    Credential::Certificate(Box::new(
        leaf::self_signed(&request, &pair, &leaf::serial([3; 16]), after(hour)).unwrap(),
    ))
}

fn issued(current: &Credential, previous: Option<&Credential>, proof: CredentialsProof) -> Issued {
    Issued {
        holding: Holding {
            current: current.clone(),
            previous: previous.cloned(),
            issuer: None,
            slot: Some(InUse::Secondary),
        },
        proof,
        renewal_at: None,
        pending: None,
        trusted_ca: None,
    }
}

fn observed(report: &str) -> DeviceObservation {
    let mut observed = DeviceObservation {
        device: Arc::new(device("{hub: {hostname: hub.example, auth: {selfSigned: {}}}}")),
        ..DeviceObservation::default()
    };
    let text = format!(
        r#"{{"version":1,"agentVersion":"0.1.0","devices":[{{"name":"press-17","deviceId":"press-17","uid":"u1","credential":{report},
        "connection":{{"state":"Connected","since":"2026-01-02T03:04:05Z","reason":"Connected"}}}}]}}"#
    );
    observed.agent.report =
        Some(Report::Status(Box::new(serde_json::from_str::<AgentStatus>(&text).unwrap())));
    observed
}

fn applied(observed: &DeviceObservation, issued: Issued) -> Outcome {
    let unchanged = || Ok(Written::Unchanged);
    let applied = Applied {
        issued: Box::new(issued),
        credentials: unchanged(),
        configuration: unchanged(),
        workload: unchanged(),
    };
    Outcome::Applied(Box::new(validate(observed).unwrap()), applied)
}

/// Returns status, reason and message of a condition.
fn condition<'a>(status: &'a IoTDeviceStatus, type_: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((&found.status, &found.reason, &found.message))
}

fn tell(observed: &DeviceObservation, issued: Issued, now: Timestamp) -> IoTDeviceStatus {
    status(observed, &IoTDeviceStatus::default(), &applied(observed, issued), now)
}

#[test]
fn refused_device_continues_and_names_what_to_register() {
    let (old, new) = (made(0), made(70));
    let report = format!(
        r#"{{"accepted":"{}","refused":{{"fingerprint":"{}","since":"2026-01-02T03:04:05Z","message":"the hub says no"}}}}"#,
        old.fingerprint(),
        new.fingerprint()
    );
    let observed = observed(&report);
    let status = tell(&observed, issued(&new, Some(&old), CredentialsProof::Refused), after(71));
    let (ready, reason, message) = condition(&status, "CredentialsReady").unwrap();
    assert_eq!((ready, reason), ("False", "CredentialRefused"));
    let thumbprints = new.certified().unwrap().leaf().status();
    for words in [
        "continues with the previous one: the hub says no",
        "register its secondary thumbprint",
        &thumbprints.sha256_thumbprint,
        &thumbprints.sha1_thumbprint,
    ] {
        assert!(message.contains(words), "{words} is not in {message}");
    }
    assert_eq!(condition(&status, "Connected").unwrap().0, "True", "it streams");
    assert_eq!(condition(&status, "Stalled").unwrap().1, "CredentialRefused", "a user must act");
    let credentials = status.credentials.unwrap();
    assert_eq!(
        (credentials.proof, credentials.current),
        (Some(CredentialsProof::Refused), Some(InUse::Secondary))
    );
    assert_eq!(credentials.primary.unwrap().sha256_thumbprint, old.fingerprint().to_string());
    // Accepted: nothing is left to do.
    let status = tell(&observed, issued(&new, Some(&old), CredentialsProof::Accepted), after(71));
    let (ready, reason, message) = condition(&status, "CredentialsReady").unwrap();
    assert_eq!((ready, reason), ("True", "Issued"));
    assert!(!message.contains("register"), "{message}");
}

/// Without one before, the connection's own reason says more.
#[test]
fn connection_reports_a_refused_first_credential() {
    let only = made(0);
    let status = tell(&observed("{}"), issued(&only, None, CredentialsProof::Refused), after(1));
    assert_eq!(condition(&status, "CredentialsReady").unwrap().0, "True");
}

#[test]
fn device_that_waits_for_its_turn_is_ready() {
    let (one, wait) = (made(0), Duration::from_secs(60));
    for (turn, reason) in
        [(RolloverTurn::In(wait), "RolloverPending"), (RolloverTurn::Paused(wait), "RolloverPaused")]
    {
        let issued = Issued {
            pending: Some(Pending::RolloverTurn(turn)),
            ..issued(&one, None, CredentialsProof::Accepted)
        };
        let status = tell(&observed("{}"), issued, after(1));
        let (ready, found_reason, _) = condition(&status, "CredentialsReady").unwrap();
        assert_eq!((ready, found_reason), ("True", reason));
        assert_eq!(condition(&status, "Ready").unwrap().0, "True");
    }
}

#[test]
fn expiry_is_reported_without_an_earlier_change() {
    let one = made(0);
    let with = |renewal_at: Option<i64>| Issued {
        renewal_at: renewal_at.map(after),
        ..issued(&one, None, CredentialsProof::Accepted)
    };
    for (hour, renewal, expected) in [
        (1, Some(70), ("False", "Valid")),
        (89, None, ("False", "Valid")),
        (91, None, ("True", "Expiring")),
        // A renewal is announced, be it late.
        (91, Some(95), ("False", "Valid")),
        // It was announced, and nothing came of it.
        (95, Some(95), ("True", "Expiring")),
        (96, Some(95), ("True", "Expiring")),
        (101, None, ("True", "Expired")),
    ] {
        let status = tell(&observed("{}"), with(renewal), after(hour));
        let (status, reason, message) = condition(&status, "CredentialsExpiring").unwrap();
        assert_eq!((status, reason), expected, "{hour} {renewal:?} {message}");
    }
    // A key does not end.
    let key = lanyard_protocol::hub::key::SymmetricKey::from_base64(crate::given::K32).unwrap();
    let status =
        tell(&observed("{}"), issued(&Credential::Key(key), None, CredentialsProof::Accepted), after(1));
    assert_eq!(condition(&status, "CredentialsExpiring"), None);
}

/// The newest certificate is good for long; the one that the device still logs in with is not.
#[test]
fn the_end_that_counts_is_that_of_the_certificate_in_use() {
    let (old, new) = (made(0), made(70));
    for (proof, hour, expected) in [
        (CredentialsProof::Refused, 80, "False"),
        (CredentialsProof::Refused, 91, "True"),
        (CredentialsProof::Untried, 91, "True"),
        (CredentialsProof::Accepted, 91, "False"),
        // It was issued just now and could not be tried yet.
        (CredentialsProof::Untried, 70, "False"),
    ] {
        let status = tell(&observed("{}"), issued(&new, Some(&old), proof), after(hour));
        let (status, _, message) = condition(&status, "CredentialsExpiring").unwrap();
        assert_eq!(status, expected, "{proof:?} {hour} {message}");
    }
}

#[test]
fn new_certificate_has_time_for_its_proof() {
    let old = made(0);
    // An hour, or a twentieth of a short life.
    for (hours, seconds, is_old) in
        [(100, 3600, false), (100, 3601, true), (10, 1800, false), (10, 1801, true)]
    {
        let now = Timestamp::from_second(after(70).as_second() + seconds).unwrap();
        let issued = issued(&made_for(hours, 70), Some(&old), CredentialsProof::Untried);
        let status = tell(&observed("{}"), issued, now);
        let (_, _, message) = condition(&status, "CredentialsExpiring").unwrap();
        let expected = if is_old {
            let ends = after(100);
            format!(
                "the device still uses the previous certificate, which expires at {ends}: have the hub accept the new one"
            )
        } else {
            format!("the certificate expires at {}", after(70 + hours as i64))
        };
        assert_eq!(message, expected, "{hours} {seconds}");
    }
}

#[test]
fn expiry_event_is_sent_once_and_without_the_ca() {
    let one = made(0);
    let mut observed = observed("{}");
    let holding = issued(&one, None, CredentialsProof::Accepted);
    let outcome = applied(&observed, holding.clone());
    let before = status(&observed, &IoTDeviceStatus::default(), &outcome, after(80));
    let near = status(&observed, &before, &outcome, after(91));
    let events: Vec<_> =
        happened(&before, &near, &outcome).into_iter().map(|event| (event.warning, event.reason)).collect();
    assert_eq!(events, [(true, Reason::CredentialsExpiring)]);
    assert!(happened(&near, &status(&observed, &near, &outcome, after(92)), &outcome).is_empty());
    let ended = status(&observed, &near, &outcome, after(101));
    let events: Vec<_> = happened(&near, &ended, &outcome).into_iter().map(|event| event.reason).collect();
    assert_eq!(events, [Reason::CredentialsExpired]);
    // Nothing could be made: what exists is reported nevertheless.
    observed.stored = Some(StoredCredentials::from(holding.holding));
    let faulty = Outcome::Faulty(Fault::new(Reason::SecretNotFound, "m"));
    let blocked_status = status(&observed, &before, &faulty, after(91));
    assert_eq!(condition(&blocked_status, "CredentialsExpiring").unwrap().0, "True");
    assert_eq!(blocked_status.credentials, before.credentials);
}

#[test]
fn no_status_holds_a_secret() {
    let (old, new) = (made(0), made(70));
    let status = tell(&observed("{}"), issued(&new, Some(&old), CredentialsProof::Refused), after(91));
    let text = format!(
        "{}{:?}",
        serde_json::to_string(&status).unwrap(),
        issued(&new, Some(&old), CredentialsProof::Refused)
    );
    for credential in [&old, &new] {
        let key = credential.certified().unwrap().key().to_owned();
        let middle = key.lines().nth(1).unwrap();
        assert!(!text.contains(middle));
    }
}

#[test]
fn group_counts_moved_devices_and_names_the_others() {
    let member = |name: &str, issuer: &str, proof: &str, more: &str| -> Arc<IoTDevice> {
        Arc::new(
            serde_saphyr::from_str(&format!(
                "{{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {{name: {name}}}, spec: {{}},
                status: {{credentials: {{secretName: s, kind: X509, issuerFingerprint: {issuer}, proof: {proof}}}{more}}}}}"
            ))
            .unwrap(),
        )
    };
    let why = ", conditions: [{type: CredentialsReady, status: 'False', reason: CredentialRefused, message: \
        because, lastTransitionTime: '2026-01-02T03:04:05Z'}]";
    let mut devices = vec![
        member("a", "new", "Accepted", ""),
        member("b", "new", "Untried", ""),
        member("c", "old", "Accepted", ""),
        Arc::new(IoTDevice::default()),
    ];
    devices.extend((0..12).rev().map(|number| member(&format!("r{number:02}"), "new", "Refused", why)));
    let status = rollover::status(&devices, &"new".to_owned().into());
    assert_eq!(status.issuer_fingerprint, "new");
    assert_eq!((status.moved, status.untried, status.pending, status.refused), (1, 1, 1, 12));
    assert_eq!(status.refusals.len(), 10);
    assert_eq!((status.refusals[0].device.as_str(), status.refusals[0].message.as_str()), ("r00", "because"));
}
