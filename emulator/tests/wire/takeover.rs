//! One connection per identity, sessions and last wills (ref §1.3, §1.7, §1.9, §14.6 rows 5, 8 and 17).

use serde_json::json;

use crate::bytes::{ACCEPTED, Connect, DISCONNECT, SESSION_PRESENT, hex, subscribe, unsubscribe};
use crate::client::{Emulator, HUB, device};

const C2D: &str = "devices/dev1/messages/devicebound/#";

fn with_will(topic: &str, qos: u8) -> Connect {
    Connect { will: Some((topic.into(), "gone", qos, false)), ..device("dev1") }
}

/// §1.9.
#[tokio::test(start_paused = true)]
async fn a_second_connection_closes_the_first() {
    let emulator = Emulator::new();
    let mut first = emulator.dev1().await;
    let mut second = emulator.client();
    second.send(&device("dev1").bytes()).await;
    first.closed().await;
    second.expect(SESSION_PRESENT).await;
    second.send(&hex("c000")).await;
    second.expect("d000").await;
    let device = emulator.state.hubs.find(HUB).unwrap().device("dev1").unwrap();
    assert_eq!((device.counters.connections(), device.counters.takeovers()), (2, 1));
    assert!(device.view().connected);
    assert_eq!(emulator.last_end("dev1"), "the same device id connected again");
}

/// §1.3.
#[tokio::test(start_paused = true)]
async fn subscriptions_survive_unless_the_session_is_clean() {
    let emulator = Emulator::new();
    let mut client = emulator.connected(&device("dev1")).await;
    client.send(&subscribe(1, &[(C2D, 1)])).await;
    client.expect("9003000101").await;
    drop(client);
    let subscriptions =
        || emulator.state.hubs.find(HUB).unwrap().device("dev1").unwrap().view().subscriptions.len();

    let mut again = emulator.client();
    again.send(&device("dev1").bytes()).await;
    again.expect(SESSION_PRESENT).await;
    assert_eq!(subscriptions(), 1);
    again.send(&unsubscribe(2, &[C2D])).await;
    again.expect("b0020002").await;
    assert_eq!(subscriptions(), 0);

    let clean = Connect { clean: true, ..device("dev1") };
    let mut clean_client = emulator.connected(&clean).await;
    clean_client.send(&subscribe(1, &[(C2D, 1)])).await;
    clean_client.expect("9003000101").await;
    clean_client.send(&hex(DISCONNECT)).await;
    clean_client.closed().await;
    emulator.connected(&device("dev1")).await;
    assert_eq!(subscriptions(), 0);
}

/// §1.7: published as telemetry, marked, when there was no DISCONNECT.
#[tokio::test(start_paused = true)]
async fn a_last_will_is_published() {
    let emulator = Emulator::new();
    let mut client = emulator.connected(&with_will("devices/dev1/messages/events/why=cut", 1)).await;
    assert!(emulator.events().is_empty());
    client.send(&hex("c0")).await;
    drop(client);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let event = &emulator.events()[0];
    assert_eq!(event["properties"], json!({"why": "cut", "iothub-MessageType": "Will"}));
    assert_eq!((&event["body"], &event["deviceId"]), (&json!("gone"), &json!("dev1")));
}

/// §1.9: the connection that was taken over ended without DISCONNECT.
#[tokio::test(start_paused = true)]
async fn a_takeover_publishes_the_last_will_of_the_old() {
    let emulator = Emulator::new();
    let mut old = emulator.connected(&with_will("devices/dev1/messages/events/", 0)).await;
    let _new = {
        let mut new = emulator.client();
        new.send(&device("dev1").bytes()).await;
        new.expect(SESSION_PRESENT).await;
        new
    };
    old.closed().await;
    assert_eq!(emulator.events()[0]["properties"], json!({"iothub-MessageType": "Will"}));
}

/// §1.7.
#[tokio::test(start_paused = true)]
async fn clean_disconnect_sends_no_last_will() {
    let emulator = Emulator::new();
    let mut client = emulator.connected(&with_will("devices/dev1/messages/events/", 1)).await;
    client.send(&hex(DISCONNECT)).await;
    client.closed().await;
    assert!(emulator.events().is_empty());
    assert_eq!(emulator.last_end("dev1"), "the device sent DISCONNECT");
}

/// §1.7: only the device's own telemetry topic, only QoS 0 and 1.
#[tokio::test(start_paused = true)]
async fn other_wills_are_not_accepted() {
    for (topic, qos) in [
        ("devices/dev2/messages/events/", 1),
        ("devices/dev1/messages/Events/", 1),
        ("$iothub/twin/GET/?$rid=1", 0),
        ("devices/dev1/messages/events/", 2),
    ] {
        assert_eq!(Emulator::new().refusal(&with_will(topic, qos).bytes()).await, "", "{topic}");
    }
    let mut client = Emulator::new().client();
    client.send(&with_will("devices/dev1/messages/events", 1).bytes()).await;
    client.expect(ACCEPTED).await;
}
