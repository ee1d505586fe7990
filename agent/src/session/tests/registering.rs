//! Devices whose hub DPS assigns.

use lanyard_handoff::status::ConnectionReason;

use crate::session::tests::rig::{Rig, Settings, credential};
use crate::session::tests::script::{ASSIGNED, ASSIGNING, Answer, accepts, accepts_for, fails, registers};

fn rig<const N: usize>(answers: [Answer; N]) -> Rig {
    Rig::with(Settings { dps: true, ..Settings::default() }, answers)
}

fn assigned() -> Answer {
    registers([(200, None, ASSIGNED)])
}

#[tokio::test(start_paused = true)]
async fn dps_is_polled_as_it_says_and_the_hub_is_stored() {
    let polls =
        [(202, Some(3), ASSIGNING), (202, None, ASSIGNING), (202, Some(0), ASSIGNING), (200, None, ASSIGNED)];
    let rig = rig([registers(polls), accepts_for(30), accepts()]);
    assert_eq!(rig.log_until(1).await, ["0 dps A: accepted", "0 dps: register", "0 dps: acknowledge 1"]);
    assert_eq!(rig.reason(), ConnectionReason::Registering);
    assert_eq!(
        rig.log_until(30).await,
        [
            "3 dps: poll",
            "3 dps: acknowledge 1",
            "5 dps: poll",
            "5 dps: acknowledge 1",
            "5.500 dps: poll",
            "5.500 dps: acknowledge 1",
            "5.500 dps: disconnected",
            "5.500 hub2 A: accepted"
        ]
    );
    assert_eq!(rig.status().assigned_hub.as_deref(), Some("hub2"));
    assert_eq!(rig.log_until(60).await, ["35.500 hub2: lost", "36.500 hub2 A: accepted"]);
}

#[tokio::test(start_paused = true)]
async fn busy_dps_is_asked_again_when_it_says_and_within_an_hour() {
    let busy = |seconds| registers([(429, Some(seconds), "{}")]);
    let rig = rig([busy(30), busy(1_000_000), assigned(), accepts()]);
    assert_eq!(
        rig.log_until(29).await,
        ["0 dps A: accepted", "0 dps: register", "0 dps: acknowledge 1", "0 dps: dropped"]
    );
    assert_eq!(rig.reason(), ConnectionReason::HubUnavailable);
    assert_eq!(
        rig.log_until(3629).await,
        ["30 dps A: accepted", "30 dps: register", "30 dps: acknowledge 1", "30 dps: dropped"]
    );
    assert_eq!(
        rig.log_until(3630).await,
        [
            "3630 dps A: accepted",
            "3630 dps: register",
            "3630 dps: acknowledge 1",
            "3630 dps: disconnected",
            "3630 hub2 A: accepted"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn refused_registration_waits_fifteen_seconds_and_then_longer() {
    let refused = || fails(ConnectionReason::Unauthorized);
    let rig = rig([refused(), refused(), refused(), assigned(), accepts()]);
    assert_eq!(
        rig.log_until(94).await,
        ["0 dps A: Unauthorized", "15 dps A: Unauthorized", "45 dps A: Unauthorized"]
    );
    assert_eq!(rig.reason(), ConnectionReason::RegistrationUnauthorized);
    assert_eq!(rig.status().credential.unwrap().refused.unwrap().fingerprint, credential('A').fingerprint);
    assert_eq!(rig.log_until(95).await.last().unwrap(), "95 hub2 A: accepted");
    assert_eq!(rig.status().credential.unwrap().refused, None);
}

#[tokio::test(start_paused = true)]
async fn silent_dps_times_out_after_thirty_seconds() {
    let rig = rig([registers([]), assigned(), accepts()]);
    assert_eq!(rig.log_until(30).await, ["0 dps A: accepted", "0 dps: register", "30 dps: dropped"]);
    assert_eq!(rig.reason(), ConnectionReason::Timeout);
    assert_eq!(rig.log_until(31).await.last().unwrap(), "31 hub2 A: accepted");
}

#[tokio::test(start_paused = true)]
async fn dps_that_never_assigns_is_given_up_after_five_minutes() {
    let rig = rig([registers([(202, Some(40), ASSIGNING); 20]), assigned(), accepts()]);
    let log = rig.log_until(300).await;
    assert_eq!(log.last().unwrap(), "300 dps: dropped");
    assert_eq!(log.iter().filter(|line| line.ends_with("poll")).count(), 7);
    assert_eq!(rig.reason(), ConnectionReason::Timeout);
    assert_eq!(rig.log_until(301).await.last().unwrap(), "301 hub2 A: accepted");
}

/// With another credential too: it is the assignment that may be out of date, and not the credential.
#[tokio::test(start_paused = true)]
async fn dps_is_asked_again_when_the_stored_hub_refuses() {
    for credentials in ["A", "AB"] {
        let answers =
            [assigned(), accepts_for(30), fails(ConnectionReason::Unauthorized), assigned(), accepts()];
        let rig = Rig::with(Settings { dps: true, credentials, ..Settings::default() }, answers);
        assert_eq!(rig.log_until(29).await.last().unwrap(), "0 hub2 A: accepted");
        assert_eq!(
            rig.log_until(60).await,
            [
                "30 hub2: lost",
                "31 hub2 A: Unauthorized",
                "32 dps A: accepted",
                "32 dps: register",
                "32 dps: acknowledge 1",
                "32 dps: disconnected",
                "32 hub2 A: accepted"
            ]
        );
        assert_eq!(rig.status().credential.unwrap().refused, None);
    }
}

#[tokio::test(start_paused = true)]
async fn refusal_by_a_hub_just_assigned_moves_on_at_once() {
    let refused = || fails(ConnectionReason::Unauthorized);
    let settings = Settings { dps: true, credentials: "BA", ..Settings::default() };
    let at_start = Rig::with(settings, [assigned(), refused(), assigned(), accepts()]);
    assert_eq!(
        at_start.log_until(60).await,
        [
            "0 dps B: accepted",
            "0 dps: register",
            "0 dps: acknowledge 1",
            "0 dps: disconnected",
            "0 hub2 B: Unauthorized",
            "0 dps A: accepted",
            "0 dps: register",
            "0 dps: acknowledge 1",
            "0 dps: disconnected",
            "0 hub2 A: accepted"
        ]
    );
    drop(at_start);
    let beside_a_connection = rig([assigned(), accepts(), assigned(), refused(), assigned(), accepts()]);
    assert_eq!(beside_a_connection.log_until(10).await.last().unwrap(), "0 hub2 A: accepted");
    beside_a_connection.set_credentials("BA");
    assert_eq!(
        beside_a_connection.log_until(60).await,
        [
            "10.001 dps B: accepted",
            "10.001 dps: register",
            "10.001 dps: acknowledge 1",
            "10.001 dps: disconnected",
            "10.001 hub2: disconnected",
            "10.001 hub2 B: Unauthorized",
            "10.001 dps A: accepted",
            "10.001 dps: register",
            "10.001 dps: acknowledge 1",
            "10.001 dps: disconnected",
            "10.001 hub2 A: accepted"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn dps_is_asked_again_after_ten_failures() {
    let gone = || fails(ConnectionReason::HostUnreachable);
    let rig = rig([
        assigned(),
        accepts_for(30),
        gone(),
        gone(),
        gone(),
        gone(),
        gone(),
        gone(),
        gone(),
        gone(),
        gone(),
        assigned(),
        accepts(),
    ]);
    let log = rig.log_until(292).await;
    let failures: Vec<&String> = log.iter().filter(|line| line.ends_with("HostUnreachable")).collect();
    let times = [31, 33, 37, 45, 61, 93, 143, 193, 243];
    assert_eq!(
        failures,
        times.map(|time| format!("{time} hub2 A: HostUnreachable")).iter().collect::<Vec<_>>()
    );
    assert_eq!(rig.log_until(293).await[0], "293 dps A: accepted");
}

#[tokio::test(start_paused = true)]
async fn new_credential_registers_beside_the_connection() {
    let refused = registers([(401, None, r#"{"errorCode":401002,"message":"m"}"#)]);
    let rig = rig([assigned(), accepts(), refused, assigned(), accepts()]);
    assert_eq!(rig.log_until(10).await.last().unwrap(), "0 hub2 A: accepted");
    rig.set_credentials("BA");
    assert_eq!(
        rig.log_until(60).await,
        [
            "10.001 dps B: accepted",
            "10.001 dps: register",
            "10.001 dps: acknowledge 1",
            "10.001 dps: dropped"
        ]
    );
    assert_eq!(rig.reason(), ConnectionReason::Connected, "the connection stays");
    assert_eq!(rig.status().credential.unwrap().refused.unwrap().fingerprint, credential('B').fingerprint);
    assert_eq!(
        rig.log_until(71).await,
        [
            "70.001 dps B: accepted",
            "70.001 dps: register",
            "70.001 dps: acknowledge 1",
            "70.001 dps: disconnected",
            "70.001 hub2: disconnected",
            "70.001 hub2 B: accepted"
        ]
    );
    assert_eq!(rig.status().credential.unwrap().refused, None);
}

#[tokio::test(start_paused = true)]
async fn token_is_renewed_while_dps_is_silent_about_a_new_credential() {
    let rig = rig([assigned(), accepts(), Answer::Hangs, accepts(), Answer::Hangs]);
    assert_eq!(rig.log_until(10).await.last().unwrap(), "0 hub2 A: accepted");
    rig.set_credentials("BA");
    assert_eq!(
        rig.log_until(2880).await,
        [
            "10.001 dps B: no answer",
            "2880 hub2: disconnected",
            "2880 hub2 A: accepted",
            "2880 dps B: no answer"
        ]
    );
}
