//! Faults on purpose: behaviour of the emulator's controls, except for throttling and error codes (ref §8.3, §12.2).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bytes::{CONNECT_DEV1, CONNECT_DPS, hex, publish};
use crate::client::{Client, Emulator, HUB, device};
use crate::provisioning::{derived, dps, poll, register, subscribed};

const EVENTS: &str = "devices/dev1/messages/events/";
const REGISTER: &str = r#"{"registrationId":"dev-01"}"#;

fn view(emulator: &Emulator, name: &str) -> Value {
    lanyard_emulator::controls::faults::get(&emulator.state, name).unwrap()
}

async fn send(client: &mut Client, id: u16) {
    client.send(&publish(EVENTS, 1, id, b"x")).await;
}

/// Connects a device to DPS, and subscribes to its answers.
async fn at_dps(emulator: &Emulator) -> Client {
    subscribed(emulator, &dps("dev-01", &derived("dev-01"))).await
}

#[tokio::test(start_paused = true)]
async fn refused_connection_gets_the_chosen_code_until_used_up() {
    let emulator = Emulator::new();
    emulator
        .put_fault("down", &json!({"deviceId": "dev1", "count": 2, "refuseConnections": {"returnCode": 4}}));
    for _ in 0..2 {
        assert_eq!(emulator.refusal(&hex(CONNECT_DEV1)).await, "20020004");
    }
    let dev1 = emulator.state.hubs.find(HUB).unwrap().device("dev1").unwrap();
    let refusal = dev1.view().last_refusal.unwrap();
    assert_eq!(refusal, "fault \"down\": CONNECT is answered with code 4");
    assert_eq!((dev1.counters.refusals(), dev1.counters.connections()), (2, 0));
    emulator.dev1().await;
    assert_eq!(view(&emulator, "down")["occurred"], 2);
}

#[tokio::test(start_paused = true)]
async fn wrong_credential_is_refused_without_an_occurrence() {
    let emulator = Emulator::new();
    emulator.put_fault("down", &json!({"refuseConnections": {}}));
    assert_eq!(emulator.refusal(&device("off").bytes()).await, "20020005");
    assert_eq!(view(&emulator, "down")["occurred"], 0);
    assert_eq!(emulator.refusal(&hex(CONNECT_DEV1)).await, "20020003");
}

#[tokio::test(start_paused = true)]
async fn selected_connections_only_have_a_fault() {
    let emulator = Emulator::new();
    emulator.put_fault("other-device", &json!({"deviceId": "DEV1", "refuseConnections": {}}));
    emulator.put_fault("dps", &json!({"service": "dps", "refuseConnections": {}}));
    emulator.dev1().await;
    assert_eq!(emulator.refusal(&hex(CONNECT_DPS)).await, "20020003");
    emulator.put_fault("dps", &json!({"service": "dps", "deviceId": "DEV-01", "refuseConnections": {}}));
    assert_eq!(emulator.refusal(&hex(CONNECT_DPS)).await, "20020003", "case makes no difference at DPS");
    emulator.state.faults.remove("dps");
    at_dps(&emulator).await;
    emulator.put_fault("hub", &json!({"hub": HUB.to_uppercase(), "refuseConnections": {"returnCode": 2}}));
    assert_eq!(emulator.refusal(&hex(CONNECT_DEV1)).await, "20020002");
    emulator.state.faults.clear();
    emulator.dev1_again().await;
}

#[tokio::test(start_paused = true)]
async fn dropped_connection_ends_without_an_answer_to_connect() {
    let emulator = Emulator::new();
    emulator.put_fault("cut", &json!({"count": 1, "dropConnections": {}}));
    assert_eq!(emulator.refusal(&hex(CONNECT_DEV1)).await, "");
    let dev1 = emulator.state.hubs.find(HUB).unwrap().device("dev1").unwrap();
    assert_eq!(dev1.view().last_refusal.unwrap(), "fault \"cut\": CONNECT has no answer");
    assert_eq!(dev1.counters.refusals(), 1);
    emulator.dev1().await;
}

#[tokio::test(start_paused = true)]
async fn dropped_connection_ends_after_its_messages() {
    let emulator = Emulator::new();
    emulator.put_fault("cut", &json!({"dropConnections": {"afterMessages": 2}}));
    for _ in 0..2 {
        let mut client = emulator.dev1_again().await;
        send(&mut client, 1).await;
        client.expect("40020001").await;
        send(&mut client, 2).await;
        client.expect("40020002").await;
        client.closed().await;
    }
    assert_eq!(emulator.last_end("dev1"), "fault \"cut\": the connection is closed after 2 messages");
    assert_eq!((emulator.events().len(), view(&emulator, "cut")["occurred"].as_u64()), (4, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn open_connection_is_dropped_after_its_next_message() {
    let emulator = Emulator::new();
    let mut client = emulator.dev1().await;
    send(&mut client, 1).await;
    client.expect("40020001").await;
    emulator.put_fault("cut", &json!({"dropConnections": {"afterMessages": 1}}));
    send(&mut client, 2).await;
    client.expect("40020002").await;
    client.closed().await;
}

#[tokio::test(start_paused = true)]
async fn delayed_answers_come_late_in_order_and_side_by_side() {
    let emulator = Emulator::new();
    emulator.put_fault("slow", &json!({"delayAnswers": {"milliseconds": 3000}}));
    let start = Instant::now();
    let mut client = emulator.dev1().await;
    assert_eq!(start.elapsed().as_secs(), 3);
    for id in 1..=3 {
        send(&mut client, id).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(emulator.events().len(), 3, "messages are stored when they come");
    // Its answer does not overtake those that are on their way.
    emulator.state.faults.remove("slow");
    client.send(&hex("c000")).await;
    for (answer, seconds) in [("40020001", 6), ("40020002", 7), ("40020003", 8), ("d000", 8)] {
        client.expect(answer).await;
        assert_eq!(start.elapsed().as_secs(), seconds, "{answer}");
    }
    client.send(&hex("c000")).await;
    client.expect("d000").await;
    assert_eq!(start.elapsed().as_secs(), 8);
}

#[tokio::test(start_paused = true)]
async fn delay_counts_answers() {
    let emulator = Emulator::new();
    let mut client = emulator.dev1().await;
    emulator.put_fault("slow", &json!({"count": 1, "delayAnswers": {"milliseconds": 2000}}));
    let start = Instant::now();
    // A message without an answer has no delay.
    client.send(&publish(EVENTS, 0, 0, b"x")).await;
    for seconds in [2, 2] {
        client.send(&hex("c000")).await;
        client.expect("d000").await;
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn delayed_device_can_be_closed_and_taken_over() {
    let emulator = Emulator::new();
    let mut first = emulator.dev1().await;
    emulator.put_fault("slow", &json!({"deviceId": "dev1", "delayAnswers": {"milliseconds": 60_000}}));
    send(&mut first, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    emulator.state.faults.clear();
    let start = Instant::now();
    emulator.dev1_again().await;
    first.closed().await;
    assert_eq!(start.elapsed().as_secs(), 0, "the answer on its way is lost");
}

/// Ref §12.2: slow PUBACKs, and finally a close.
#[tokio::test(start_paused = true)]
async fn throttled_device_is_acknowledged_slowly_and_then_closed() {
    let emulator = Emulator::new();
    let mut client = emulator.dev1().await;
    emulator.put_fault("busy", &json!({"throttle": {"messagesPerSecond": 0.5, "closeAfterSeconds": 7}}));
    let start = Instant::now();
    // In one segment with a message, and behind the messages.
    client.send(&[hex("c000"), publish(EVENTS, 1, 1, b"x")].concat()).await;
    send(&mut client, 2).await;
    send(&mut client, 3).await;
    client.send(&hex("c000")).await;
    client.expect("d000").await;
    client.expect("d000").await;
    assert_eq!(start.elapsed().as_secs(), 0, "only messages are throttled");
    for id in 1..=3 {
        client.expect(&format!("4002000{id}")).await;
        assert_eq!(start.elapsed().as_secs(), 2 * id);
    }
    for id in 4..=7 {
        send(&mut client, id).await;
    }
    assert_eq!(client.rest().await, "", "the fourth would wait 8 seconds");
    assert_eq!(start.elapsed().as_secs(), 6);
    assert_eq!(emulator.last_end("dev1"), "fault \"busy\": an acknowledgement would wait longer than 7 s");
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_stay_in_order_when_throttling_ends() {
    let emulator = Emulator::new();
    let mut client = emulator.dev1().await;
    emulator.put_fault("busy", &json!({"throttle": {"messagesPerSecond": 1}}));
    send(&mut client, 1).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    emulator.state.faults.clear();
    send(&mut client, 2).await;
    client.expect("40020001").await;
    client.expect("40020002").await;
}

#[tokio::test(start_paused = true)]
async fn dropped_device_gets_no_answer_before_an_earlier_one() {
    let emulator = Emulator::new();
    for hold in
        [json!({"throttle": {"messagesPerSecond": 1}}), json!({"delayAnswers": {"milliseconds": 1000}})]
    {
        let mut client = emulator.dev1_again().await;
        emulator.put_fault("busy", &hold);
        emulator.put_fault("cut", &json!({"dropConnections": {"afterMessages": 2}}));
        send(&mut client, 1).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        emulator.state.faults.remove("busy");
        send(&mut client, 2).await;
        assert_eq!(client.rest().await, "", "{hold}");
        emulator.state.faults.clear();
    }
    assert_eq!(emulator.events().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn message_whose_acknowledgement_is_lost_is_stored() {
    let emulator = Emulator::new();
    let mut client = emulator.dev1().await;
    emulator.put_fault("lost", &json!({"loseAcknowledgements": {"oneIn": 2}}));
    for id in 1..=3 {
        send(&mut client, id).await;
    }
    client.expect("40020001").await;
    client.expect("40020003").await;
    assert_eq!((emulator.events().len(), view(&emulator, "lost")["occurred"].as_u64()), (3, Some(1)));
    emulator.put_fault("lost", &json!({"count": 1, "loseAcknowledgements": {}}));
    send(&mut client, 4).await;
    send(&mut client, 5).await;
    client.expect("40020005").await;
}

/// Ref §8.2, §8.3: 429 and 5xx add retry-after.
#[tokio::test(start_paused = true)]
async fn refused_registration_gets_the_chosen_error() {
    let emulator = Emulator::new();
    let mut client = at_dps(&emulator).await;
    emulator.put_fault(
        "busy",
        &json!({"count": 1, "refuseRegistrations": {"errorCode": 429_001, "retryAfterSeconds": 7}}),
    );
    let (topic, body) = register(&mut client, "1", REGISTER).await;
    assert_eq!(topic, "$dps/registrations/res/429/?$rid=1&retry-after=7");
    assert_eq!(
        (&body["errorCode"], &body["message"]),
        (&json!(429_001), &json!("fault \"busy\": the request is refused"))
    );
    let (topic, body) = register(&mut client, "2", REGISTER).await;
    assert_eq!(topic, "$dps/registrations/res/202/?$rid=2&retry-after=3");
    emulator.put_fault("gone", &json!({"refuseRegistrations": {"errorCode": 404_201}}));
    let operation = body["operationId"].as_str().unwrap();
    assert_eq!(poll(&mut client, "3", operation).await.0, "$dps/registrations/res/404/?$rid=3");
    emulator.state.faults.clear();
    assert_eq!(poll(&mut client, "4", operation).await.1["status"], "assigned");
}

#[tokio::test(start_paused = true)]
async fn registering_device_is_delayed_and_dropped() {
    let emulator = Emulator::new();
    let mut client = at_dps(&emulator).await;
    emulator.put_fault("cut", &json!({"service": "dps", "dropConnections": {"afterMessages": 1}}));
    emulator
        .put_fault("slow", &json!({"service": "dps", "count": 1, "delayAnswers": {"milliseconds": 4000}}));
    let start = Instant::now();
    client.send(&hex("c000")).await;
    client.expect("d000").await;
    assert_eq!(start.elapsed().as_secs(), 4);
    register(&mut client, "1", REGISTER).await;
    client.closed().await;
    emulator.connected(&dps("dev-01", &derived("dev-01"))).await;
}
