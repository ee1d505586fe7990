//! Messages of both directions, and changed settings.

use lanyard_handoff::config::Telemetry;
use lanyard_handoff::interval::Interval;

use crate::session::tests::rig::Rig;
use crate::session::tests::script::{accepts, accepts_and_sends, accepts_for};

#[tokio::test(start_paused = true)]
async fn inbound_message_is_acknowledged() {
    let rig = Rig::new([accepts_and_sends(7)]);
    assert_eq!(rig.log_until(10).await, ["0 hub A: accepted", "0 hub: acknowledge 7"]);
}

#[tokio::test(start_paused = true)]
async fn quality_of_service_follows_the_configuration() {
    let rig = Rig::new([accepts()]);
    for qos in [1, 0] {
        rig.configure(Telemetry { qos, ..Telemetry::default() });
        rig.append();
        rig.until(if qos == 1 { 9 } else { 19 }).await;
    }
    assert_eq!(
        rig.log_until(20).await,
        ["0 hub A: accepted", "0 hub: message 1", "10 hub: message 2 with QoS 0"]
    );
}

#[tokio::test(start_paused = true)]
async fn shorter_interval_holds_at_once_and_longer_one_later() {
    let rig = Rig::new([accepts()]);
    let configure = |seconds| {
        rig.configure(Telemetry { interval: Interval::from_secs(seconds), ..Telemetry::default() });
    };
    rig.append();
    rig.until(1).await;
    rig.append();
    configure(3);
    assert_eq!(rig.log_until(5).await, ["0 hub A: accepted", "0 hub: message 1", "4.001 hub: message 2"]);
    rig.append();
    configure(60);
    rig.until(8).await;
    rig.append();
    assert_eq!(rig.log_until(100).await, ["7.001 hub: message 3", "67.001 hub: message 4"]);
}

#[tokio::test(start_paused = true)]
async fn times_of_status_and_messages_are_those_of_the_environment() {
    let rig = Rig::new([accepts_for(5), accepts()]);
    let since = || rig.status().connection.since.to_string();
    rig.until(1).await;
    rig.append();
    rig.until(4).await;
    assert_eq!(since(), "2027-01-15T08:30:00Z");
    assert!(rig.body().starts_with(r#"{"timestamp":1800001801001,"#), "{}", rig.body());
    rig.until(5).await;
    assert_eq!(since(), "2027-01-15T08:30:05Z");
    rig.until(10).await;
    assert_eq!(since(), "2027-01-15T08:30:06Z");
}
