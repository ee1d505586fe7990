//! Order of credentials: refusals, pauses and new files.

use lanyard_handoff::status::ConnectionReason;

use crate::session::tests::rig::{Rig, Settings, credential};
use crate::session::tests::script::{accepts, fails};

fn refused() -> crate::session::tests::script::Answer {
    fails(ConnectionReason::Unauthorized)
}

fn with_credentials(credentials: &'static str) -> Settings {
    Settings { credentials, ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn refused_credential_is_paused_while_the_next_one_connects() {
    let answers = [refused(), accepts(), accepts(), refused(), accepts(), accepts(), accepts()];
    let rig = Rig::with(with_credentials("AB"), answers);
    assert_eq!(rig.log_until(2879).await, ["0 hub A: Unauthorized", "0 hub B: accepted"]);
    let status = rig.status().credential.unwrap();
    let refusal = status.refused.unwrap();
    assert_eq!(refusal.fingerprint, credential('A').fingerprint);
    assert_eq!(status.accepted, Some(credential('B').fingerprint.clone()));
    // Its token is renewed in between.
    assert_eq!(rig.log_until(3599).await, ["2880 hub: disconnected", "2880 hub B: accepted"]);
    assert_eq!(
        rig.log_until(6479).await,
        ["3600 hub: disconnected", "3600 hub A: Unauthorized", "3600 hub B: accepted"]
    );
    assert_eq!(rig.status().credential.unwrap().refused.unwrap().since, refusal.since);
    assert_eq!(rig.log_until(7199).await, ["6480 hub: disconnected", "6480 hub B: accepted"]);
    assert_eq!(rig.log_until(7200).await, ["7200 hub: disconnected", "7200 hub A: accepted"]);
    let status = rig.status().credential.unwrap();
    assert_eq!((status.refused, status.accepted), (None, Some(credential('A').fingerprint.clone())));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_take_turns_between_waits() {
    let rig = Rig::with(
        with_credentials("AB"),
        [refused(), refused(), refused(), refused(), refused(), refused(), accepts()],
    );
    assert_eq!(
        rig.log_until(100).await,
        [
            "0 hub A: Unauthorized",
            "0 hub B: Unauthorized",
            "1 hub A: Unauthorized",
            "1 hub B: Unauthorized",
            "16 hub A: Unauthorized",
            "16 hub B: Unauthorized",
            "46 hub A: accepted"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn login_that_breaks_three_times_yields_to_the_next_credential() {
    let broken = || fails(ConnectionReason::ConnectionLost);
    let rig = Rig::with(with_credentials("AB"), [broken(), broken(), broken(), accepts(), accepts()]);
    assert_eq!(
        rig.log_until(7).await,
        [
            "0 hub A: ConnectionLost",
            "1 hub A: ConnectionLost",
            "3 hub A: ConnectionLost",
            "3 hub B: accepted"
        ]
    );
    assert_eq!(rig.status().credential.unwrap().refused, None, "no server refused it");
    assert_eq!(rig.log_until(60).await, ["8 hub: disconnected", "8 hub A: accepted"]);
}

#[tokio::test(start_paused = true)]
async fn unreachable_hub_is_tried_with_the_same_credential() {
    let unreachable = || fails(ConnectionReason::HostUnreachable);
    let answers = [unreachable(), unreachable(), unreachable(), unreachable(), accepts()];
    let rig = Rig::with(with_credentials("AB"), answers);
    let log = rig.log_until(60).await;
    assert_eq!(log.last().unwrap(), "15 hub A: accepted");
    assert!(log.iter().all(|line| line.contains("hub A")), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn new_credential_ends_the_wait() {
    let rig = Rig::with(with_credentials("A"), [refused(), refused(), accepts()]);
    assert_eq!(rig.log_until(5).await, ["0 hub A: Unauthorized", "1 hub A: Unauthorized"]);
    rig.set_credentials("C");
    assert_eq!(rig.log_until(60).await, ["5.001 hub C: accepted"]);
    assert_eq!(rig.status().credential.unwrap().refused, None);
}

#[tokio::test(start_paused = true)]
async fn new_credential_ends_an_attempt_without_answer() {
    let rig = Rig::with(with_credentials("A"), [super::script::Answer::Hangs, accepts()]);
    assert_eq!(rig.log_until(5).await, ["0 hub A: no answer"]);
    rig.set_credentials("C");
    assert_eq!(rig.log_until(60).await, ["5.001 hub C: accepted"]);
}

#[tokio::test(start_paused = true)]
async fn backoff_starts_over_with_new_credentials() {
    let unreachable = || fails(ConnectionReason::HostUnreachable);
    let after_a_wait = [unreachable(), unreachable(), unreachable(), unreachable(), accepts()];
    let rig = Rig::with(with_credentials("A"), after_a_wait);
    assert_eq!(rig.log_until(4).await.last().unwrap(), "3 hub A: HostUnreachable");
    rig.set_credentials("C");
    assert_eq!(rig.log_until(60).await, ["4.001 hub C: HostUnreachable", "5.001 hub C: accepted"]);
    drop(rig);
    let after_an_attempt =
        [unreachable(), unreachable(), super::script::Answer::Hangs, unreachable(), accepts()];
    let rig = Rig::with(with_credentials("A"), after_an_attempt);
    assert_eq!(rig.log_until(4).await.last().unwrap(), "3 hub A: no answer");
    rig.set_credentials("C");
    assert_eq!(rig.log_until(60).await, ["4.001 hub C: HostUnreachable", "5.001 hub C: accepted"]);
}

#[tokio::test(start_paused = true)]
async fn unreadable_credentials_wait_for_new_files() {
    let rig = Rig::with(with_credentials(""), [accepts()]);
    assert_eq!(rig.log_until(100_000).await, Vec::<String>::new());
    assert_eq!(rig.reason(), ConnectionReason::CredentialsUnreadable);
    rig.set_credentials("A");
    assert_eq!(rig.log_until(100_001).await, ["100000.001 hub A: accepted"]);
}

#[tokio::test(start_paused = true)]
async fn refused_new_credential_returns_to_the_accepted_one() {
    let rig = Rig::with(with_credentials("A"), [accepts(), refused(), accepts()]);
    assert_eq!(rig.log_until(10).await, ["0 hub A: accepted"]);
    rig.set_credentials("BA");
    assert_eq!(
        rig.log_until(60).await,
        ["10.001 hub: disconnected", "10.001 hub B: Unauthorized", "10.001 hub A: accepted"]
    );
    assert_eq!(rig.reason(), ConnectionReason::Connected);
    assert_eq!(rig.status().credential.unwrap().refused.unwrap().fingerprint, credential('B').fingerprint);
}
