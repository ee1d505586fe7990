//! Messages to a hub (ref §1.6, §1.11, §4, §14.6 rows 7 and 20).

use serde_json::json;

use crate::bytes::{hex, publish, publish_with, subscribe};
use crate::client::{Emulator, HUB, device};

const EVENTS: &str = "devices/dev1/messages/events/";

/// Returns the stored form of a message with QoS 0 or 1.
async fn stored(bytes: &[u8]) -> serde_json::Value {
    let emulator = Emulator::new();
    let mut client = emulator.dev1().await;
    client.send(bytes).await;
    client.send(&hex("c000")).await;
    while client.packet().await.0 != 0xd0 {}
    emulator.events().pop().expect("the message is stored")
}

/// Returns whether a packet closes the connection without an answer and without a stored message.
async fn closes(bytes: &[u8]) -> bool {
    let emulator = Emulator::new();
    let mut client = emulator.dev1().await;
    client.try_send(bytes).await;
    client.try_send(&hex("c000")).await;
    client.rest().await.is_empty() && emulator.events().is_empty()
}

/// Appendix A: D2C and its PUBACK.
#[tokio::test(start_paused = true)]
async fn the_published_message_is_stored_and_acknowledged() {
    let emulator = Emulator::new();
    let mut client = emulator.dev1().await;
    client.send(&hex("32520047646576696365732f646576312f6d657373616765732f6576656e74732f2532342e63743d6170706c69636174696f6e2532466a736f6e262532342e63653d7574662d38266b3d7600027b2274223a317d")).await;
    client.expect("40020002").await;
    let event = &emulator.events()[0];
    assert_eq!(event["properties"], json!({"k": "v"}));
    assert_eq!(event["systemProperties"]["content-type"], "application/json");
    assert_eq!(event["systemProperties"]["content-encoding"], "utf-8");
    assert_eq!(event["systemProperties"]["iothub-connection-device-id"], "dev1");
    assert_eq!(event["body"], json!({"t": 1}));
    assert_eq!(event["enqueuedTime"], "2023-11-14T19:26:40.000Z");
    let device = emulator.state.hubs.find(HUB).unwrap().device("dev1").unwrap();
    assert_eq!((device.counters.messages(), device.counters.bytes()), (1, 7));
}

/// §1.6.
#[tokio::test(start_paused = true)]
async fn qos_0_is_not_acknowledged_and_qos_2_closes() {
    let emulator = Emulator::new();
    let mut client = emulator.dev1().await;
    client.send(&publish(EVENTS, 0, 0, b"x")).await;
    client.send(&publish(EVENTS, 1, 7, b"y")).await;
    client.expect("40020007").await;
    assert_eq!(emulator.events().len(), 2);
    assert!(closes(&publish(EVENTS, 2, 7, b"z")).await);
}

/// §1.6: a resent message may be stored twice; it is acknowledged.
#[tokio::test(start_paused = true)]
async fn a_duplicate_is_acknowledged() {
    assert_eq!(stored(&publish_with(0x3a, EVENTS, 7, b"y")).await["body"], "y");
}

/// §1.6.
#[tokio::test(start_paused = true)]
async fn retain_becomes_a_property() {
    assert_eq!(
        stored(&publish_with(0x33, EVENTS, 7, b"y")).await["properties"],
        json!({"mqtt-retain": "true"})
    );
}

/// §4.1, §4.2.
#[tokio::test(start_paused = true)]
async fn topics_and_bags_in_every_spelling() {
    for (bag, properties) in [
        ("", json!({})),
        ("?k=v", json!({"k": "v"})),
        ("k=v/", json!({"k": "v"})),
        ("k=a%20b%2Bc+d&n&e=", json!({"k": "a b+c+d", "n": null, "e": ""})),
        ("z%20key=v%2F1%262&k=1&k=2", json!({"z key": "v/1&2", "k": "2"})),
        ("!'()*=%C3%A4", json!({"!'()*": "ä"})),
    ] {
        assert_eq!(
            stored(&publish(&format!("{EVENTS}{bag}"), 1, 1, b"")).await["properties"],
            properties,
            "{bag}"
        );
    }
    assert_eq!(stored(&publish("devices/dev1/messages/events", 1, 1, b"x")).await["body"], "x");
    let system = stored(&publish(&format!("{EVENTS}$.mid=m-1&%24.cid=c&$.sub=a&%24.sub=b"), 1, 1, b"")).await;
    assert_eq!(system["systemProperties"]["message-id"], "m-1");
    assert_eq!(system["systemProperties"]["correlation-id"], "c");
    assert_eq!(system["systemProperties"]["dt-subject"], "b");
}

/// §14.6 row 20: ids are in topics unchanged.
#[tokio::test(start_paused = true)]
async fn a_device_with_an_odd_id_sends() {
    let emulator = Emulator::new();
    let mut client = emulator.connected(&device("a%b#c+d?e")).await;
    client.send(&publish("devices/a%b#c+d?e/messages/events/k=v", 1, 1, b"")).await;
    client.expect("40020001").await;
    assert_eq!(emulator.events()[0]["deviceId"], "a%b#c+d?e");
}

/// §1.11.
#[tokio::test(start_paused = true)]
async fn forbidden_topics_close_the_connection() {
    for topic in [
        "devices/dev2/messages/events/",
        "devices/dev1/messages/Events/",
        "devices/dev1/messages/devicebound/",
        "devices/dev1/modules/m/messages/events/",
        "devices/+/messages/events/",
        "devices/#",
        "$iothub/twin/get/?$rid=1",
        "$iothub/twin/GET/",
        "$dps/registrations/PUT/iotdps-register/?$rid=1",
        "anything",
        "",
    ] {
        assert!(closes(&publish(topic, 1, 1, b"x")).await, "{topic}");
        assert!(closes(&publish(topic, 0, 0, b"x")).await, "{topic}");
    }
}

/// §4.2, §4.3.
#[tokio::test(start_paused = true)]
async fn wrong_property_bags_close_the_connection() {
    for bag in ["k=%", "k=%zz", "k=%FF", "=v", "$.mid=a%20b", &format!("$.mid={}", "x".repeat(129))] {
        assert!(closes(&publish(&format!("{EVENTS}{bag}"), 1, 1, b"x")).await, "{bag}");
    }
}

/// §4.5: body, values of system properties, names and values of application properties.
#[tokio::test(start_paused = true)]
async fn oversized_message_closes_the_connection() {
    let body = vec![b'x'; 262_144];
    assert_eq!(stored(&publish(EVENTS, 1, 1, &body)).await["bodyBytes"], 262_144);
    assert_eq!(stored(&publish(&format!("{EVENTS}k=v"), 1, 1, &body[2..])).await["bodyBytes"], 262_142);
    assert!(closes(&publish(&format!("{EVENTS}k=v"), 1, 1, &body[1..])).await);
    assert!(closes(&publish(EVENTS, 1, 1, &[&body[..], b"x"].concat())).await);
    assert!(closes(&hex("30ffffff7f")).await, "the packet is not read to its end");
}

/// §6.1, appendix A; a twin has no properties here, and a report is refused.
#[tokio::test(start_paused = true)]
async fn a_twin_is_empty() {
    let mut client = Emulator::new().dev1().await;
    client.send(&subscribe(1, &[("$iothub/twin/res/#", 0)])).await;
    client.expect("9003000100").await;
    client.send(&hex("301a001824696f746875622f7477696e2f4745542f3f247269643d31")).await;
    client.expect("3052001c24696f746875622f7477696e2f7265732f3230302f3f247269643d317b2264657369726564223a7b222476657273696f6e223a317d2c227265706f72746564223a7b222476657273696f6e223a317d7d").await;
    client.send(&publish("$iothub/twin/PATCH/properties/reported/?$rid=2", 1, 9, b"{}")).await;
    let (_, rest) = client.packet().await;
    assert!(rest[2..].starts_with(b"$iothub/twin/res/501/?$rid=2{"), "{}", String::from_utf8_lossy(&rest));
    client.expect("40020009").await;
    client.send(&publish("$iothub/methods/res/200/?$rid=1a", 1, 10, b"{}")).await;
    client.expect("4002000a").await;
}
