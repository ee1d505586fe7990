//! Subscriptions at a hub (ref §1.3, §1.6, §1.11, §14.6 row 6).

use crate::bytes::{hex, subscribe, unsubscribe};
use crate::client::Emulator;

const C2D: &str = "devices/dev1/messages/devicebound/#";

/// Appendix A: the SDKs' SUBSCRIBE and its SUBACK.
#[tokio::test(start_paused = true)]
async fn the_published_subscription_is_granted() {
    let mut client = Emulator::new().dev1().await;
    client.send(&hex("82170001001224696f746875622f7477696e2f7265732f2300")).await;
    client.expect("9003000100").await;
}

/// §1.6, and §14.2: every filter of the SDKs.
#[tokio::test(start_paused = true)]
async fn qos_2_is_granted_as_1() {
    let mut client = Emulator::new().dev1().await;
    let filters = [
        (C2D, 2),
        ("$iothub/methods/POST/#", 1),
        ("$iothub/twin/res/#", 0),
        ("$iothub/twin/PATCH/properties/desired/#", 0),
        ("devices/+/messages/devicebound/#", 1),
    ];
    client.send(&subscribe(0x1234, &filters)).await;
    client.expect("900712340101000001").await;
}

/// §1.11: a hub drops the link, it sends no SUBACK 0x80.
#[tokio::test(start_paused = true)]
async fn unsupported_filters_close() {
    for filter in [
        "#",
        "devices/dev2/messages/devicebound/#",
        "devices/dev1/messages/devicebound/a/#",
        "$dps/registrations/res/#",
    ] {
        let mut client = Emulator::new().dev1().await;
        client.send(&subscribe(1, &[(C2D, 1), (filter, 1)])).await;
        client.closed().await;
    }
}

/// §1.3: five. With the filters there are, only the second spelling of one makes a fifth; a sixth has to be refused
/// by the session, which its own test shows.
#[tokio::test(start_paused = true)]
async fn a_filter_may_be_renewed_and_removed() {
    let mut client = Emulator::new().dev1().await;
    for id in [1, 2] {
        client.send(&subscribe(id, &[(C2D, 1)])).await;
        client.expect(&format!("9003000{id}01")).await;
    }
    client.send(&unsubscribe(3, &[C2D, "never/subscribed"])).await;
    client.expect("b0020003").await;
}

#[tokio::test(start_paused = true)]
async fn malformed_subscriptions_close() {
    for bytes in [
        "82020001",
        "8205000100016100",
        "80060001000161 00",
        "8206000100016103",
        "8206000000016100",
        "a2020001",
    ] {
        let mut client = Emulator::new().dev1().await;
        client.send(&hex(bytes)).await;
        client.closed().await;
    }
}
