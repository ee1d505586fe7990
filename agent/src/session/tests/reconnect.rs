//! Lost connections and unreachable hubs.

use lanyard_handoff::status::{ConnectionReason, ConnectionState};

use crate::session::tests::rig::{Rig, Settings};
use crate::session::tests::script::{accepts, accepts_for, accepts_silently, fails};

#[tokio::test(start_paused = true)]
async fn backoff_doubles_and_starts_over_after_a_good_time() {
    use ConnectionReason::{HostNotFound, HostUnreachable};
    let unreachable = || fails(HostUnreachable);
    let rig = Rig::new([
        unreachable(),
        unreachable(),
        unreachable(),
        unreachable(),
        accepts_for(30),
        fails(HostNotFound),
        accepts(),
    ]);
    assert_eq!(
        rig.log_until(14).await,
        [
            "0 hub A: HostUnreachable",
            "1 hub A: HostUnreachable",
            "3 hub A: HostUnreachable",
            "7 hub A: HostUnreachable"
        ]
    );
    assert_eq!(rig.reason(), HostUnreachable);
    assert_eq!(rig.log_until(44).await, ["15 hub A: accepted"]);
    assert_eq!(rig.status().connection.state, ConnectionState::Connected);
    assert_eq!(rig.log_until(45).await, ["45 hub: lost"]);
    assert_eq!(rig.status().connection.state, ConnectionState::Disconnected);
    assert_eq!(rig.reason(), ConnectionReason::ConnectionLost);
    assert_eq!(rig.log_until(100).await, ["46 hub A: HostNotFound", "48 hub A: accepted"]);
    assert_eq!(rig.reason(), ConnectionReason::Connected);
}

#[tokio::test(start_paused = true)]
async fn short_connections_do_not_reset_the_backoff() {
    let rig = Rig::new([accepts_for(5), accepts_for(19), accepts_for(20), accepts()]);
    assert_eq!(
        rig.log_until(100).await,
        [
            "0 hub A: accepted",
            "5 hub: lost",
            "6 hub A: accepted",
            "25 hub: lost",
            "27 hub A: accepted",
            "47 hub: lost",
            "48 hub A: accepted"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn chance_makes_a_wait_twice_as_long_at_most() {
    let lost = || fails(ConnectionReason::HostNotFound);
    let settings = Settings { chance: || 1.0, ..Settings::default() };
    let rig = Rig::with(settings, [lost(), lost(), lost(), accepts()]);
    assert_eq!(
        rig.log_until(100).await,
        ["0 hub A: HostNotFound", "2 hub A: HostNotFound", "6 hub A: HostNotFound", "14 hub A: accepted"]
    );
}

#[tokio::test(start_paused = true)]
async fn unacknowledged_message_is_sent_again_on_a_new_connection() {
    let rig = Rig::new([accepts_silently(), accepts()]);
    rig.append();
    assert_eq!(rig.log_until(4).await, ["0 hub A: accepted", "0 hub: message 1"]);
    assert_eq!(rig.log_until(5).await, ["5 hub: dropped"]);
    assert_eq!(rig.reason(), ConnectionReason::Timeout);
    assert!(rig.status().connection.message.contains("within 5s"), "{:?}", rig.status());
    assert!(!rig.is_delivered());
    assert_eq!(rig.log_until(6).await, ["6 hub A: accepted", "6 hub: message 1"]);
    assert!(rig.is_delivered());
}

#[tokio::test(start_paused = true)]
async fn message_waits_for_the_end_of_the_interval() {
    let rig = Rig::new([accepts()]);
    rig.append();
    rig.until(3).await;
    rig.append();
    assert_eq!(rig.log_until(20).await, ["0 hub A: accepted", "0 hub: message 1", "10 hub: message 2"]);
}
