//! DPS (ref §8, §9.4, §14.4, §14.6 rows 14 to 16).

use serde_json::{Value, json};

use crate::bytes::{CONNECT_DPS, Connect, DISCONNECT, hex, publish, subscribe, unsubscribe};
use crate::client::{CONFIG, Client, EARLY, END, Emulator, HUB, K32, K64, device, key, token};

pub(crate) const SCOPE: &str = "0ne00ABCDEF";

/// Returns a CONNECT to DPS with `key`.
pub(crate) fn dps(registration_id: &str, key: &str) -> Connect {
    let user =
        format!("{SCOPE}/registrations/{registration_id}/api-version=2019-03-31&ClientVersion=test%2F1");
    Connect {
        clean: true,
        ..Connect::new(
            registration_id,
            &user,
            &token(key, &format!("{SCOPE}/registrations/{registration_id}")),
        )
    }
}

pub(crate) fn derived(registration_id: &str) -> String {
    key(K64).derive(registration_id).to_base64().to_string()
}

pub(crate) async fn subscribed(emulator: &Emulator, connect: &Connect) -> Client {
    let mut client = emulator.connected(connect).await;
    client.send(&subscribe(1, &[("$dps/registrations/res/#", 1)])).await;
    client.expect("9003000101").await;
    client
}

/// Registers: topic and body of the answer.
pub(crate) async fn register(client: &mut Client, rid: &str, body: &str) -> (String, Value) {
    client
        .send(&publish(&format!("$dps/registrations/PUT/iotdps-register/?$rid={rid}"), 1, 2, body.as_bytes()))
        .await;
    client.expect("40020002").await;
    client.message().await
}

pub(crate) async fn poll(client: &mut Client, rid: &str, operation_id: &str) -> (String, Value) {
    let topic =
        format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid={rid}&operationId={operation_id}");
    client.send(&publish(&topic, 1, 3, b" ")).await;
    client.expect("40020003").await;
    client.message().await
}

/// Registers a device, and polls once if it is not assigned at once; returns the topic and the body of the last answer.
async fn outcome(emulator: &Emulator, registration_id: &str, key: &str) -> (String, Value) {
    let mut client = subscribed(emulator, &dps(registration_id, key)).await;
    let (topic, first) =
        register(&mut client, "r", &json!({"registrationId": registration_id}).to_string()).await;
    if !topic.starts_with("$dps/registrations/res/202/") {
        return (topic, first);
    }
    poll(&mut client, "p", first["operationId"].as_str().unwrap()).await
}

/// §8.2, §14.4: CONNACK, SUBACK, 202 with retry-after, 200 with the hub.
#[tokio::test(start_paused = true)]
async fn a_group_device_is_assigned() {
    let emulator = Emulator::new();
    let mut client = subscribed(&emulator, &dps("dev-01", &derived("dev-01"))).await;
    let (topic, first) =
        register(&mut client, "679f47c8", r#"{"payload": null, "registrationId": "dev-01"}"#).await;
    assert_eq!(topic, "$dps/registrations/res/202/?$rid=679f47c8&retry-after=3");
    let operation_id = first["operationId"].as_str().unwrap();
    assert_eq!(first, json!({"operationId": operation_id, "status": "assigning"}));
    assert!(!operation_id.contains(['&', '/', '$', '#', '+']), "{operation_id}");

    let (topic, done) = poll(&mut client, "af9c36e1", operation_id).await;
    assert_eq!(topic, "$dps/registrations/res/200/?$rid=af9c36e1");
    assert_eq!(done["operationId"], operation_id);
    assert_eq!(done["status"], "assigned");
    let state = &done["registrationState"];
    assert_eq!(
        (
            &state["registrationId"],
            &state["assignedHub"],
            &state["deviceId"],
            &state["status"],
            &state["substatus"]
        ),
        (&json!("dev-01"), &json!(HUB), &json!("dev-01"), &json!("assigned"), &json!("initialAssignment"))
    );
    assert_eq!(state["createdDateTimeUtc"], "2023-11-14T19:26:40.0000000Z");
    assert_eq!(state["symmetricKey"], json!({"enrollmentGroupId": "plant"}));
    client.send(&unsubscribe(9, &["$dps/registrations/res/#"])).await;
    client.expect("b0020009").await;
    client.send(&hex(DISCONNECT)).await;
    client.closed().await;
}

/// §3.1, §8.6: the hub takes the derived primary and the derived secondary key.
#[tokio::test(start_paused = true)]
async fn the_assigned_device_connects_to_its_hub() {
    let emulator = Emulator::new();
    let user = format!("{HUB}/dev-01/?api-version=2021-04-12");
    let resource = format!("{HUB}/devices/dev-01");
    let before = Connect::new("dev-01", &user, &token(&derived("dev-01"), &resource));
    assert_eq!(emulator.refusal(&before.bytes()).await, "20020005", "the hub does not know it yet");
    outcome(&emulator, "dev-01", &derived("dev-01")).await;
    emulator.connected(&before).await;
    let group_secondary =
        "18RQk/hOPJR9EbsJlk2j8WA6vWaj/yi+oaYg7zmxfQNdOyMSu+SJ8O7TSlZhDJCYmn4rzEiVKIzNiVAWjLxrGA==";
    let secondary = key(group_secondary).derive("dev-01").to_base64().to_string();
    let mut second = emulator.client();
    second.send(&Connect::new("dev-01", &user, &token(&secondary, &resource)).bytes()).await;
    second.expect("20020100").await;
    // §3.2: the published token of the chain K64, dev-01.
    let published = "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdev-01&sig=mcAbvYcg%2BNDlba8%2FGV7vwtpHmNuC6NCueDHNFDtMVPc%3D&se=1700000000";
    let mut third = emulator.client();
    third.send(&Connect::new("dev-01", &user, published).bytes()).await;
    third.expect("20020100").await;
}

/// §3.3, §8.6: an individual enrollment may rename, and its key is used as it is.
#[tokio::test(start_paused = true)]
async fn an_individual_enrollment_is_assigned() {
    let emulator = Emulator::new();
    let (_, done) = outcome(&emulator, "SINGLE", K32).await;
    assert_eq!(done["registrationState"]["deviceId"], "press");
    assert_eq!(done["registrationState"]["symmetricKey"], json!({}));
    emulator.connected(&device("press")).await;
}

/// Appendix A: token E belongs to the key K32, which `dev-01` has not; CONNACK is 0 all the same (§0.3 rule 6).
#[tokio::test(start_paused = true)]
async fn answer_reports_a_wrong_key() {
    let emulator = Emulator::new();
    let mut client = emulator.client();
    client.send(&hex(CONNECT_DPS)).await;
    client.expect("20020000").await;
    client.send(&subscribe(1, &[("$dps/registrations/res/#", 1)])).await;
    client.expect("9003000101").await;
    let (topic, body) = register(&mut client, "1", r#"{"registrationId":"dev-01"}"#).await;
    assert_eq!(topic, "$dps/registrations/res/401/?$rid=1");
    assert_eq!((&body["errorCode"], &body["message"]), (&json!(401_002), &json!("Unauthorized")));
    assert_eq!(body["timestampUtc"], "2023-11-14T19:26:40.0000000Z");
    let (topic, _) = poll(&mut client, "2", "5.0.0").await;
    assert_eq!(topic, "$dps/registrations/res/401/?$rid=2");
}

/// §8.3, §14.6 row 14.
#[tokio::test(start_paused = true)]
async fn unenrolled_device_is_unauthorized() {
    let emulator = Emulator::new();
    for (registration_id, key) in [
        ("dev-01", derived("dev-02")),
        ("DEV-01", derived("dev-01")),
        ("single", derived("single")),
        ("halted", K64.to_owned()),
    ] {
        let (topic, body) = outcome(&emulator, registration_id, &key).await;
        assert_eq!(
            (topic.as_str(), &body["errorCode"]),
            ("$dps/registrations/res/401/?$rid=r", &json!(401_002)),
            "{registration_id}"
        );
    }
    let mut other_scope = dps("dev-01", K32);
    other_scope.user = Some("0ne00FFFFFF/registrations/dev-01/api-version=2019-03-31".into());
    let mut client = subscribed(&emulator, &other_scope).await;
    let (topic, body) = register(&mut client, "1", r#"{"registrationId":"dev-01"}"#).await;
    assert_eq!((topic.as_str(), &body["errorCode"]), ("$dps/registrations/res/401/?$rid=1", &json!(401_002)));
    let late = Emulator::at(END + 301);
    assert_eq!(outcome(&late, "dev-01", &derived("dev-01")).await.1["errorCode"], 401_002);
}

/// §8.1: without a token there would have to be a certificate.
#[tokio::test(start_paused = true)]
async fn connects_that_dps_refuses() {
    let without = Connect { password: None, ..dps("dev-01", K32) };
    assert_eq!(Emulator::new().refusal(&without.bytes()).await, "20020005");
    let other = Connect { client_id: "dev-02".into(), ..dps("dev-01", K32) };
    assert_eq!(Emulator::new().refusal(&other.bytes()).await, "20020005");
}

/// §8.2: with topic status 200.
#[tokio::test(start_paused = true)]
async fn disabled_enrollments_and_missing_hubs_fail() {
    let emulator = Emulator::new();
    let (topic, body) = outcome(&emulator, "halted", K32).await;
    assert_eq!(topic, "$dps/registrations/res/200/?$rid=r");
    assert_eq!(
        body,
        json!({"operationId": "", "status": "disabled", "registrationState": {"registrationId": "halted", "status": "disabled"}})
    );
    let (topic, body) = outcome(&emulator, "homeless", K32).await;
    assert_eq!(topic, "$dps/registrations/res/200/?$rid=p");
    assert_eq!(
        (&body["status"], &body["registrationState"]["errorCode"]),
        (&json!("failed"), &json!(400_208))
    );
}

/// §8.3.
#[tokio::test(start_paused = true)]
async fn wrong_requests_are_bad_requests() {
    let emulator = Emulator::new();
    let mut client = subscribed(&emulator, &dps("dev-01", &derived("dev-01"))).await;
    for body in ["", " ", "{", "[]", "{}", r#"{"registrationId":7}"#, r#"{"registrationId":"dev-02"}"#] {
        let (topic, answer) = register(&mut client, "1", body).await;
        assert_eq!(topic, "$dps/registrations/res/400/?$rid=1", "{body}");
        assert_eq!(answer["errorCode"], 400_004, "{body}");
    }
    let (topic, answer) = poll(&mut client, "2", "5.0.0").await;
    assert_eq!(
        (topic.as_str(), &answer["errorCode"]),
        ("$dps/registrations/res/404/?$rid=2", &json!(404_201))
    );
    let (topic, _) = register(&mut client, "3", r#"{"registrationId":"DEV-01"}"#).await;
    assert_eq!(topic, "$dps/registrations/res/202/?$rid=3&retry-after=3", "ids are compared without case");
}

/// §14.6 row 15.
#[tokio::test(start_paused = true)]
async fn a_device_may_have_to_ask_more_than_once() {
    let slow = CONFIG.replace("emulator: {", "emulator: {pollsUntilAssigned: 3, ");
    let emulator = Emulator::with(&slow, EARLY, None);
    let mut client = subscribed(&emulator, &dps("dev-01", &derived("dev-01"))).await;
    let (_, first) = register(&mut client, "1", r#"{"registrationId":"dev-01"}"#).await;
    let operation_id = first["operationId"].as_str().unwrap();
    for rid in ["2", "3"] {
        let (topic, body) = poll(&mut client, rid, operation_id).await;
        assert_eq!(topic, format!("$dps/registrations/res/202/?$rid={rid}&retry-after=3"));
        let state = json!({"registrationId": "dev-01", "status": "assigning"});
        assert_eq!(
            body,
            json!({"operationId": operation_id, "status": "assigning", "registrationState": state})
        );
    }
    for rid in ["4", "5"] {
        assert_eq!(
            poll(&mut client, rid, operation_id).await.1["status"],
            "assigned",
            "and as often as it likes"
        );
    }
    let eager =
        Emulator::with(&CONFIG.replace("emulator: {", "emulator: {pollsUntilAssigned: 0, "), EARLY, None);
    assert_eq!(outcome(&eager, "dev-01", &derived("dev-01")).await.0, "$dps/registrations/res/200/?$rid=r");
}

/// §8.2, §1.6, §8.7: what else ends a connection to DPS.
#[tokio::test(start_paused = true)]
async fn unsupported_message_to_dps_closes_the_connection() {
    let register = "$dps/registrations/PUT/iotdps-register/?$rid=1";
    let large = vec![b' '; 96 * 1024 + 1];
    for bytes in [
        subscribe(1, &[("$dps/registrations/#", 1)]),
        subscribe(1, &[("$iothub/twin/res/#", 1)]),
        publish("$dps/registrations/put/iotdps-register/?$rid=1", 1, 2, b"{}"),
        publish("$dps/registrations/PUT/iotdps-register/", 1, 2, b"{}"),
        publish("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1", 1, 2, b"{}"),
        publish("devices/dev-01/messages/events/", 1, 2, b"{}"),
        publish(register, 2, 2, b"{}"),
        publish(register, 1, 2, &large),
    ] {
        let emulator = Emulator::new();
        let mut client = emulator.connected(&dps("dev-01", &derived("dev-01"))).await;
        client.try_send(&bytes).await;
        client.closed().await;
    }
}

/// §8.2: the answer goes to the subscription, at its QoS.
#[tokio::test(start_paused = true)]
async fn answers_go_to_subscribers() {
    let emulator = Emulator::new();
    let topic = "$dps/registrations/PUT/iotdps-register/?$rid=1";
    let body = br#"{"registrationId":"dev-01"}"#;
    let mut client = emulator.connected(&dps("dev-01", &derived("dev-01"))).await;
    client.send(&publish(topic, 1, 2, body)).await;
    client.expect("40020002").await;
    client.send(&hex("c000")).await;
    client.expect("d000").await;
    client.send(&subscribe(1, &[("$dps/registrations/res/#", 0)])).await;
    client.expect("9003000100").await;
    client.send(&publish(topic, 0, 0, body)).await;
    assert_eq!(client.packet().await.0, 0x30);
}

/// §9.4: who comes again stays; who belongs to another hub by now moves or stays by its policy. Over restarts.
#[tokio::test(start_paused = true)]
async fn a_registration_is_remembered() {
    let dir = std::env::temp_dir().join(format!("lanyard-wire-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let config = |hubs: &str, policy: &str| {
        format!(
            "hubs: [{{hostName: one.example}}, {{hostName: two.example}}]\ndps: [{{idScope: {SCOPE}, \
                enrollmentGroups: [{{enrollmentGroupId: g, iotHubs: [{hubs}], reprovisionPolicy: {policy}, \
                attestation: {{type: symmetricKey, symmetricKey: {{primaryKey: {K64}}}}}}}]}}]"
        )
    };
    let migrate = "{updateHubAssignment: true, migrateDeviceData: true}";
    let reset = "{updateHubAssignment: true, migrateDeviceData: false}";
    let never = "{updateHubAssignment: false, migrateDeviceData: false}";
    for (hubs, policy, hub, substatus) in [
        ("one.example", migrate, "one.example", "initialAssignment"),
        ("one.example", migrate, "one.example", "initialAssignment"),
        ("one.example, two.example", never, "one.example", "initialAssignment"),
        ("two.example", migrate, "two.example", "deviceDataMigrated"),
        ("one.example", reset, "one.example", "deviceDataReset"),
        ("one.example", reset, "one.example", "deviceDataReset"),
    ] {
        let emulator = Emulator::with(&config(hubs, policy), EARLY, Some(&dir));
        let (_, done) = outcome(&emulator, "dev-01", &derived("dev-01")).await;
        let state = &done["registrationState"];
        assert_eq!(
            (&state["assignedHub"], &state["substatus"]),
            (&json!(hub), &json!(substatus)),
            "{hubs} {policy}"
        );
    }
    // Devices in the field come back to their hub without asking DPS; the hub they left does not know them.
    let emulator = Emulator::with(&config("two.example", migrate), EARLY, Some(&dir));
    let resource = "one.example/devices/dev-01";
    let device =
        Connect::new("dev-01", "one.example/dev-01/?api-version=x", &token(&derived("dev-01"), resource));
    let mut connected = emulator.connected(&device).await;
    outcome(&emulator, "dev-01", &derived("dev-01")).await;
    connected.closed().await;
    assert_eq!(emulator.refusal(&device.bytes()).await, "20020005");
    std::fs::remove_dir_all(dir).unwrap();
}
