//! CONNECT at a hub (ref §1.2, §1.10, §2, §14.6 rows 1 to 4).

use lanyard_protocol::hub::sas::SasToken;

use crate::bytes::{ACCEPTED, CONNECT_DEV1, CONNECT_DEV1_X509, Connect, hex};
use crate::client::{CONFIG, EARLY, END, Emulator, HUB, K32, K64, device, key, token};

const PROTOCOL: &str = "20020001";
const CLIENT_ID: &str = "20020002";
const UNAVAILABLE: &str = "20020003";
const UNAUTHORIZED: &str = "20020005";

async fn answer(connect: &Connect) -> String {
    let mut client = Emulator::new().client();
    client.send(&connect.bytes()).await;
    let (first, rest) = client.packet().await;
    format!("{first:02x}02{:02x}{:02x}", rest[0], rest[1])
}

fn dev1(user: &str, password: &str) -> Connect {
    Connect::new("dev1", user, password)
}

fn user() -> String {
    format!("{HUB}/dev1/?api-version=2021-04-12")
}

fn own_token() -> String {
    token(K32, &format!("{HUB}/devices/dev1"))
}

/// Appendix A and vector B.
#[tokio::test(start_paused = true)]
async fn the_published_connect_is_accepted() {
    Emulator::new().dev1().await;
}

/// Row 2: five minutes of grace, and no more.
#[tokio::test(start_paused = true)]
async fn an_expired_token_is_refused_after_the_skew() {
    let mut client = Emulator::at(END + 300).client();
    client.send(&hex(CONNECT_DEV1)).await;
    client.expect(ACCEPTED).await;
    assert_eq!(Emulator::at(END + 301).refusal(&hex(CONNECT_DEV1)).await, UNAUTHORIZED);
    let strict = CONFIG.replace("emulator: {", "emulator: {sasSkewSeconds: 0, ");
    assert_eq!(Emulator::with(&strict, END + 1, None).refusal(&hex(CONNECT_DEV1)).await, UNAUTHORIZED);
}

/// §2.2: both keys count at all times; §2.2: a token for all devices covers each.
#[tokio::test(start_paused = true)]
async fn other_good_tokens_are_accepted() {
    let secondary =
        "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
    let resource = format!("{HUB}/devices/dev1");
    for good in [
        token(secondary, &resource),
        token(K32, &format!("{HUB}/devices")),
        token(K32, &resource.to_uppercase().replace("/DEVICES/DEV1", "/devices/dev1")),
        token(K32, &format!("{HUB}:8883/devices/dev1")),
        token(K32, &format!("{resource}/?api-version=2016-11-14")),
        "SharedAccessSignature sig=QKiSs%2fj3XsPN5ctMtRoJa7c%2bYA9RuV2Hs4XwTyXK8%2bw%3d&se=1700000000&sr=contoso.azure-devices.net%2Fdevices%2Fdev1".into(),
    ] {
        assert_eq!(answer(&dev1(&user(), &good)).await, ACCEPTED, "{good}");
    }
}

/// §2.5, "Negative tests".
#[tokio::test(start_paused = true)]
async fn bad_tokens_are_refused() {
    let own = own_token();
    let named = SasToken::sign(&key(K32), &format!("{HUB}/devices/dev1"), END.unsigned_abs(), Some("policy"));
    for bad in [
        token(K32, &format!("{HUB}/devices/dev2")),
        token(K32, &format!("{HUB}/devices/dev")),
        token(K32, &format!("{HUB}/devices/DEV1")),
        token(K32, "other.azure-devices.net/devices/dev1"),
        token(K64, &format!("{HUB}/devices/dev1")),
        own.replace("se=1700000000", "se=1800000000"),
        own.replace("%2Fdevices", "%2fdevices"),
        own.replace("&se=1700000000", ""),
        own.replace("%2B", " "),
        named.expose().to_owned(),
        String::new(),
        "password".to_owned(),
    ] {
        assert_eq!(Emulator::new().refusal(&dev1(&user(), &bad).bytes()).await, UNAUTHORIZED, "{bad}");
    }
}

/// §1.2: with and without api-version, the legacy forms, parameters in any order and encoding, and Node's port.
#[tokio::test(start_paused = true)]
async fn every_form_of_the_user_name_is_understood() {
    for user in [
        user(),
        format!("{HUB}/dev1"),
        format!("{HUB}/dev1/"),
        format!("{HUB}/dev1/api-version=2016-11-14"),
        format!(
            "{HUB}/dev1/?api-version=2020-09-30&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0%283.11.7%29&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1"
        ),
        format!(
            "{HUB}/dev1/?api-version=2021-04-12&model-id=dtmi:com:example:Thermostat;1&DeviceClientType=azure-iot-device%2F1.18.4%20(node%20v20.20.2%3B)myprod%2F1.0"
        ),
        format!("{HUB}:18883/dev1/?api-version=whatever"),
        format!("{}/dev1/?api-version=2021-04-12", HUB.to_uppercase()),
    ] {
        assert_eq!(answer(&dev1(&user, &own_token())).await, ACCEPTED, "{user}");
    }
}

/// §14.6 row 20, §3.3.
#[tokio::test(start_paused = true)]
async fn odd_device_ids_are_taken_as_they_are() {
    assert_eq!(answer(&device("a%b#c+d?e")).await, ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn unknown_and_disabled_devices_are_refused() {
    let emulator = Emulator::new();
    assert_eq!(emulator.refusal(&device("dev9").bytes()).await, UNAUTHORIZED);
    assert_eq!(emulator.refusal(&device("DEV1").bytes()).await, UNAUTHORIZED);
    assert_eq!(emulator.refusal(&device("off").bytes()).await, UNAUTHORIZED);
    let off = emulator.state.hubs.find(HUB).unwrap().device("off").unwrap();
    assert_eq!((off.counters.refusals(), off.counters.connections()), (1, 0));
}

/// §1.2: the hub is the one named by the user.
#[tokio::test(start_paused = true)]
async fn an_unknown_hub_is_unavailable() {
    let user = "other.azure-devices.net/dev1/?api-version=2021-04-12";
    let token = token(K32, "other.azure-devices.net/devices/dev1");
    assert_eq!(Emulator::new().refusal(&dev1(user, &token).bytes()).await, UNAVAILABLE);
}

/// §1.10.
#[tokio::test(start_paused = true)]
async fn the_client_id_is_the_device_id() {
    for (client_id, code) in
        [("", CLIENT_ID), ("dev2", UNAUTHORIZED), ("DEV1", UNAUTHORIZED), ("dev1/m", UNAUTHORIZED)]
    {
        let connect = Connect { client_id: client_id.into(), ..dev1(&user(), &own_token()) };
        assert_eq!(Emulator::new().refusal(&connect.bytes()).await, code, "{client_id:?}");
    }
    let module = Connect::new("dev1/m", &format!("{HUB}/dev1/m/?api-version=2021-04-12"), &own_token());
    assert_eq!(Emulator::new().refusal(&module.bytes()).await, UNAUTHORIZED, "there are no modules");
}

/// §1.2: without a password there would have to be a certificate; without a user name there is nothing.
#[tokio::test(start_paused = true)]
async fn a_device_with_a_key_needs_its_token() {
    assert_eq!(Emulator::new().refusal(&hex(CONNECT_DEV1_X509)).await, UNAUTHORIZED);
    let anonymous = Connect { user: None, password: None, ..dev1("", "") };
    assert_eq!(Emulator::new().refusal(&anonymous.bytes()).await, UNAUTHORIZED);
    for user in ["dev1", "/dev1", "contoso.azure-devices.net/", "contoso.azure-devices.net/a/b/c"] {
        assert_eq!(Emulator::new().refusal(&dev1(user, &own_token()).bytes()).await, UNAUTHORIZED, "{user}");
    }
}

/// §1.1: MQTT 3.1, the bridge bit and MQTT 5.
#[tokio::test(start_paused = true)]
async fn other_protocol_levels_are_refused() {
    let base = dev1(&user(), &own_token());
    for connect in [
        Connect { protocol: "MQIsdp", level: 3, ..base.clone() },
        Connect { level: 0x84, ..base.clone() },
        Connect { level: 5, ..base.clone() },
        Connect { level: 3, ..base.clone() },
    ] {
        assert_eq!(Emulator::new().refusal(&connect.bytes()).await, PROTOCOL);
    }
    let other = Connect { protocol: "HTTP", ..base };
    assert_eq!(Emulator::new().refusal(&other.bytes()).await, "", "that is not MQTT at all");
}

#[tokio::test(start_paused = true)]
async fn connect_comes_first_and_once() {
    assert_eq!(Emulator::new().refusal(&hex("c000")).await, "");
    assert_eq!(Emulator::new().refusal(&crate::bytes::publish("a", 0, 0, b"")).await, "");
    let mut client = Emulator::new().dev1().await;
    client.send(&hex(CONNECT_DEV1)).await;
    client.closed().await;
}

/// Packets that arrive together with CONNECT are processed.
#[tokio::test(start_paused = true)]
async fn a_client_need_not_wait_for_connack() {
    let mut client = Emulator::at(EARLY).client();
    client.send(&[hex(CONNECT_DEV1), hex("c000")].concat()).await;
    client.expect("20020000d000").await;
}

/// MQTT 3.1.1 §3.1.2.3: a reserved flag, a will's flags without a will, a will of QoS 3, a password without a user name;
/// and bytes behind the packet's last field.
#[tokio::test(start_paused = true)]
async fn malformed_connects_close() {
    let good = hex(CONNECT_DEV1);
    let flags = 3 + 7;
    assert_eq!(good[flags], 0xc0);
    for wrong in [0xc1, 0xc8, 0xe0, 0xdc, 0x40] {
        let mut bytes = good.clone();
        bytes[flags] = wrong;
        assert_eq!(Emulator::new().refusal(&bytes).await, "", "{wrong:02x}");
    }
    let mut longer = good.clone();
    longer[1] += 1;
    longer.push(0);
    assert_eq!(Emulator::new().refusal(&longer).await, "");
    let mut other_flags = good;
    other_flags[0] = 0x11;
    assert_eq!(Emulator::new().refusal(&other_flags).await, "");
}
