//! Stop of a connection in each of its phases.

use lanyard_handoff::status::ConnectionReason;

use crate::session::tests::rig::{Rig, Settings};
use crate::session::tests::script::{Answer, accepts, accepts_silently, accepts_slowly, fails, registers};

fn unreachable() -> Answer {
    fails(ConnectionReason::HostUnreachable)
}

#[tokio::test(start_paused = true)]
async fn stop_while_connecting_ends_at_once_without_events() {
    let rig = Rig::new([Answer::Hangs]);
    rig.until(3).await;
    assert_eq!(rig.stop(8).await, ["0 hub A: no answer", "3.001 stop", "3.001 end"]);
}

#[tokio::test(start_paused = true)]
async fn stop_while_connecting_waits_for_its_deadline_with_events() {
    let rig = Rig::new([Answer::Hangs]);
    rig.append();
    rig.until(3).await;
    assert_eq!(rig.stop(8).await, ["0 hub A: no answer", "3.001 stop", "11.001 end"]);
}

#[tokio::test(start_paused = true)]
async fn stop_in_backoff_ends_at_once_without_events() {
    let rig = Rig::new([unreachable(), unreachable(), unreachable(), accepts()]);
    assert_eq!(rig.log_until(4).await.len(), 3);
    assert_eq!(rig.stop(8).await, ["4.001 stop", "4.001 end"]);
}

#[tokio::test(start_paused = true)]
async fn stop_in_backoff_sends_the_events_that_are_left() {
    let rig = Rig::new([unreachable(), unreachable(), unreachable(), accepts()]);
    rig.append();
    assert_eq!(rig.log_until(4).await.len(), 3);
    assert_eq!(
        rig.stop(8).await,
        [
            "4.001 stop",
            "4.001 hub A: accepted",
            "4.001 hub: message 1",
            "4.001 hub: disconnected",
            "4.001 end"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn stop_in_backoff_tries_once_more_only() {
    let rig = Rig::new([unreachable(), unreachable(), unreachable(), unreachable(), accepts()]);
    rig.append();
    assert_eq!(rig.log_until(4).await.len(), 3);
    assert_eq!(rig.stop(8).await, ["4.001 stop", "4.001 hub A: HostUnreachable", "4.001 end"]);
}

#[tokio::test(start_paused = true)]
async fn stop_while_dps_is_silent_ends_at_its_deadline_with_events() {
    let settings = Settings { dps: true, ..Settings::default() };
    let rig = Rig::with(settings, [registers([])]);
    rig.append();
    rig.until(1).await;
    assert_eq!(
        rig.stop(8).await,
        ["0 dps A: accepted", "0 dps: register", "1.001 stop", "9.001 dps: dropped", "9.001 end"]
    );
}

#[tokio::test(start_paused = true)]
async fn dropped_stopper_disconnects_at_once() {
    let mut rig = Rig::new([accepts()]);
    rig.until(10).await;
    rig.drop_stopper();
    assert_eq!(rig.log_until(10).await, ["0 hub A: accepted", "10.001 hub: disconnected"]);
    assert_eq!(rig.reason(), ConnectionReason::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn stop_while_idle_disconnects_at_once() {
    let rig = Rig::new([accepts()]);
    assert_eq!(rig.log_until(10).await, ["0 hub A: accepted"]);
    assert_eq!(rig.stop(8).await, ["10.001 stop", "10.001 hub: disconnected", "10.001 end"]);
}

#[tokio::test(start_paused = true)]
async fn stop_sends_waiting_events_and_waits_for_acknowledgements() {
    let rig = Rig::new([accepts_slowly(2)]);
    rig.append();
    rig.until(11).await;
    rig.append();
    rig.until(12).await;
    rig.append();
    assert_eq!(
        rig.stop(8).await,
        [
            "0 hub A: accepted",
            "0 hub: message 1",
            "11.001 hub: message 2",
            "12.001 stop",
            "12.001 hub: message 3",
            "14.001 hub: disconnected",
            "14.001 end"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn stop_disconnects_at_its_deadline_without_acknowledgement() {
    let rig = Rig::new([accepts_silently()]);
    rig.until(10).await;
    rig.append();
    rig.until(11).await;
    assert_eq!(
        rig.stop(3).await,
        [
            "0 hub A: accepted",
            "10.001 hub: message 1",
            "11.001 stop",
            "14.001 hub: disconnected",
            "14.001 end"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn stop_resends_once_when_the_hub_stays_silent() {
    let rig = Rig::new([accepts_silently(), accepts_silently()]);
    rig.until(10).await;
    rig.append();
    rig.until(11).await;
    assert_eq!(
        rig.stop(8).await,
        [
            "0 hub A: accepted",
            "10.001 hub: message 1",
            "11.001 stop",
            "15.001 hub: dropped",
            "15.001 hub A: accepted",
            "15.001 hub: message 1",
            "19.001 hub: disconnected",
            "19.001 end"
        ]
    );
}
