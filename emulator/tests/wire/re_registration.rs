//! Registering again: renewed certificates, rotated keys, moved enrollments, over restarts (ref §9.3, §9.4, §10.5).

use lanyard_emulator::controls::change::{Action, Target};
use serde_json::{Value, json};

use crate::bytes::Connect;
use crate::client::{EARLY, Emulator, HUB, K32, K64, token};
use crate::pki::Ca;
use crate::provisioning::SCOPE;
use crate::registering::{assignment, emulator, group_by_name, hub_takes, outcome, put, put_group, upload};

const ONE: &str = "one.example";
const TWO: &str = "two.example";

/// §9.3: "the hub identity is refreshed only when the device registers through DPS again".
#[tokio::test(start_paused = true)]
async fn renewed_certificate_works_at_the_hub_after_registration() {
    let root = Ca::root("root");
    let emulator = emulator(&[upload("root", &root, true)], &[group_by_name("plant", "root", None)], &[]);
    let (old, new) = (root.leaf("dev-01").der(), root.leaf("dev-01").der());
    assignment(&emulator, "dev-01", std::slice::from_ref(&old)).await;
    assert!(hub_takes(&emulator, HUB, "dev-01", std::slice::from_ref(&old)).await);
    assert!(!hub_takes(&emulator, HUB, "dev-01", std::slice::from_ref(&new)).await);
    assignment(&emulator, "dev-01", std::slice::from_ref(&new)).await;
    assert!(hub_takes(&emulator, HUB, "dev-01", &[new]).await);
    assert!(!hub_takes(&emulator, HUB, "dev-01", &[old]).await);
}

fn two_hubs(root: &Ca, group: &Value) -> Value {
    let dps = json!({"idScope": SCOPE, "enrollmentGroups": [group]});
    json!({
        "hubs": [{"hostName": ONE}, {"hostName": TWO}],
        "certificates": [upload("root", root, true)],
        "dps": [dps],
    })
}

/// §9.4: a moved enrollment moves its devices by its policy, when they register again.
#[tokio::test(start_paused = true)]
async fn a_moved_group_moves_its_devices_by_its_policy() {
    let root = Ca::root("root");
    for (update, migrate, hub, substatus) in [
        (true, true, TWO, "deviceDataMigrated"),
        (true, false, TWO, "deviceDataReset"),
        (false, false, ONE, "initialAssignment"),
    ] {
        let mut group = group_by_name("plant", "root", None);
        group["iotHubs"] = json!([ONE]);
        group["reprovisionPolicy"] = json!({"updateHubAssignment": update, "migrateDeviceData": migrate});
        let emulator = Emulator::with(&two_hubs(&root, &group).to_string(), EARLY, None);
        let leaf = [root.leaf("dev-01").der()];
        assert_eq!(assignment(&emulator, "dev-01", &leaf).await.1, ONE);
        put_group(&emulator, "plant", &json!({"iotHubs": [TWO]}));
        assert!(hub_takes(&emulator, ONE, "dev-01", &leaf).await, "nothing moves before it registers");
        let (_, answer) = outcome(&emulator, "dev-01", &leaf).await;
        let state = &answer["registrationState"];
        assert_eq!((&state["assignedHub"], &state["substatus"]), (&json!(hub), &json!(substatus)));
        for name in [ONE, TWO] {
            assert_eq!(hub_takes(&emulator, name, "dev-01", &leaf).await, name == hub, "{name}");
        }
    }
}

/// §10.5: a device that its hub does not know any more registers again, wherever its group is by now.
#[tokio::test(start_paused = true)]
async fn a_device_that_is_gone_from_its_hub_comes_back_through_dps() {
    let root = Ca::root("root");
    let mut group = group_by_name("plant", "root", None);
    group["iotHubs"] = json!([ONE]);
    let emulator = Emulator::with(&two_hubs(&root, &group).to_string(), EARLY, None);
    let leaf = [root.leaf("dev-01").der()];
    for hub in [ONE, TWO] {
        put_group(&emulator, "plant", &json!({"iotHubs": [hub]}));
        assert_eq!(assignment(&emulator, "dev-01", &leaf).await.1, hub);
        assert!(hub_takes(&emulator, hub, "dev-01", &leaf).await);
        let target = Target::Device { hub: hub.into(), device_id: "dev-01".into() };
        emulator.change(target, Action::Delete).unwrap();
        assert!(!hub_takes(&emulator, hub, "dev-01", &leaf).await);
    }
}

/// Registrations by certificate, and changes made at runtime, exist after a restart.
#[tokio::test(start_paused = true)]
async fn registrations_and_changes_outlive_the_process() {
    let dir = std::env::temp_dir().join(format!("lanyard-wire-changes-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let root = Ca::root("root");
    let config = json!({"hubs": [{"hostName": HUB}], "dps": [{"idScope": SCOPE}]}).to_string();
    let leaf = [root.leaf("dev-01").der()];
    let emulator = Emulator::with(&config, EARLY, Some(&dir));
    let certificate = || Target::Certificate { name: "root".into() };
    let upload = json!({"properties": {"certificate": root.pem()}});
    emulator.change(certificate(), put(&upload)).unwrap();
    emulator.change(certificate(), Action::Code("C0DE".into())).unwrap();
    put_group(&emulator, "plant", &group_by_name("plant", "root", None));
    assert_eq!(outcome(&emulator, "dev-01", &leaf).await.0, 401, "not verified");

    // The code that was made before counts.
    let emulator = Emulator::with(&config, EARLY, Some(&dir));
    let proof = json!({"certificate": root.leaf("C0DE").pem()}).to_string();
    emulator.change(certificate(), Action::Verify(zeroize::Zeroizing::new(proof))).unwrap();
    assert_eq!(assignment(&emulator, "dev-01", &leaf).await.0, "plant");

    let emulator = Emulator::with(&config, EARLY, Some(&dir));
    assert!(hub_takes(&emulator, HUB, "dev-01", &leaf).await, "without asking DPS");
    let device = || Target::Device { hub: HUB.into(), device_id: "dev-01".into() };
    emulator.change(device(), put(&json!({"status": "disabled"}))).unwrap();
    let emulator = Emulator::with(&config, EARLY, Some(&dir));
    assert!(!hub_takes(&emulator, HUB, "dev-01", &leaf).await, "it stays disabled");
    emulator.change(device(), put(&json!({"status": "enabled"}))).unwrap();
    assert!(hub_takes(&emulator, HUB, "dev-01", &leaf).await);
    emulator.change(certificate(), Action::Delete).unwrap();
    let emulator = Emulator::with(&config, EARLY, Some(&dir));
    assert_eq!(outcome(&emulator, "dev-01", &leaf).await.0, 401, "its CA is no longer enrolled");
    std::fs::remove_dir_all(dir).unwrap();
}

/// §3.1, §9.3: a group's key is rotated slot by slot; the hub follows a device when it registers again.
#[tokio::test(start_paused = true)]
async fn rotated_group_key_works_at_the_hub_after_registration() {
    let by_keys = |primary: &str, secondary: &str| {
        let keys = json!({"primaryKey": primary, "secondaryKey": secondary});
        json!({"attestation": {"type": "symmetricKey", "symmetricKey": keys}})
    };
    let third = "G3vn0IZH9oK3d4wsxFpWBtd2KUrtjI+39dZVRf26To8w9OX0LaFV9yZ93ELXY7voqHEUsNhnb9bt717UP87KxA==";
    let config = json!({"hubs": [{"hostName": HUB}], "dps": [{"idScope": SCOPE}]}).to_string();
    let emulator = Emulator::with(&config, EARLY, None);
    put_group(&emulator, "plant", &by_keys(K64, K32));
    let registers = async |group_key: &str| register_by_key(&emulator, group_key).await;
    let connects = async |group_key: &str| connects_by_key(&emulator, group_key).await;
    assert!(registers(K64).await && connects(K64).await && connects(K32).await);
    put_group(&emulator, "plant", &by_keys(third, K32));
    assert!(connects(K64).await, "the hub has not heard of it");
    assert!(!registers(K64).await && registers(K32).await);
    assert!(!connects(K64).await && connects(K32).await && connects(third).await);
}

fn derived(group_key: &str) -> String {
    crate::client::key(group_key).derive("dev-01").to_base64().to_string()
}

async fn register_by_key(emulator: &Emulator, group_key: &str) -> bool {
    let user = format!("{SCOPE}/registrations/dev-01/api-version=2019-03-31");
    let token = token(&derived(group_key), &format!("{SCOPE}/registrations/dev-01"));
    let connect = Connect { clean: true, ..Connect::new("dev-01", &user, &token) };
    let mut client = emulator.connected(&connect).await;
    client.send(&crate::bytes::subscribe(1, &[("$dps/registrations/res/#", 1)])).await;
    client.expect("9003000101").await;
    let (topic, _) = crate::provisioning::register(&mut client, "r", r#"{"registrationId":"dev-01"}"#).await;
    topic.starts_with("$dps/registrations/res/202/")
}

async fn connects_by_key(emulator: &Emulator, group_key: &str) -> bool {
    let user = format!("{HUB}/dev-01/?api-version=2021-04-12");
    let token = token(&derived(group_key), &format!("{HUB}/devices/dev-01"));
    let connect = Connect { clean: true, ..Connect::new("dev-01", &user, &token) };
    let mut client = emulator.client();
    client.send(&connect.bytes()).await;
    client.send(&crate::bytes::hex("e000")).await;
    client.rest().await == "20020000"
}
