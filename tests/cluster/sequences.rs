//! After any sequence of changes a group reaches the right state, and no device is connected twice.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::chance::Chance;
use lanyard_tests::cloud::put_key_group;
use lanyard_tests::installation::{Plant, SYSTEM, at_hub, kubectl};
use serde_json::Value;

use crate::{KeyGroup, device_of};

const STEPS: usize = 16;
const KEYS: [&str; 2] = [
    "c2VxdWVuY2VzLXByaW1hcnktc2VxdWVuY2VzLXByaW1hcnktc2VxdWVuY2VzLTAwMDAwMDAwMDAwMQ==",
    "c2VxdWVuY2VzLXNlY29uZGFyeS1zZXF1ZW5jZXMtc2Vjb25kYXJ5LXNlcXVlbmNlcy0wMDAwMDAwMg==",
];

fn step(plant: &Plant, group: &mut KeyGroup<'_>, devices: &[String], chance: &mut Chance) -> String {
    let name = &devices[chance.within(0..devices.len() as u64) as usize];
    let block = |blocked: bool| {
        let patch = format!(r#"{{"spec":{{"blocked":{blocked}}}}}"#);
        plant.kubectl(&["patch", "iotd", name, "--type=merge", "-p", &patch]);
    };
    match chance.within(0..7) {
        0 => {
            group.in_use = if group.in_use == "Primary" { "Secondary" } else { "Primary" };
            plant.apply(&group.yaml());
            format!("use {}", group.in_use)
        }
        1 => {
            block(true);
            format!("block {name}")
        }
        2 => {
            block(false);
            format!("unblock {name}")
        }
        3 => {
            let secret = format!("{name}-credentials");
            plant.kubectl(&["delete", "secret", &secret, "--ignore-not-found"]);
            format!("delete Secret {secret}")
        }
        4 => {
            let operator = "app.kubernetes.io/component=operator";
            kubectl(&["-n", SYSTEM, "delete", "pod", "-l", operator, "--grace-period=0", "--force"]);
            "kill the operator".to_owned()
        }
        5 => {
            group.interval = if group.interval == "1s" { "2s" } else { "1s" };
            plant.apply(&group.yaml());
            format!("interval {}", group.interval)
        }
        _ => {
            let label = format!("lanyard.dev/device={name}");
            plant.kubectl(&["delete", "pod", "-l", &label, "--wait=false"]);
            format!("delete the pod of {name}")
        }
    }
}

#[test]
fn any_order_of_changes_ends_in_the_right_state() {
    let plant = Plant::new("sequences");
    put_key_group("plant-sequences", KEYS[0], KEYS[1]);
    let mut group = KeyGroup { name: "plant-sequences", keys: KEYS, in_use: "Primary", interval: "1s" };
    let devices: Vec<String> = (1..=4).map(|n| format!("sequence-{n}")).collect();
    plant.apply(
        &(group.yaml() + &devices.iter().map(|d| device_of("plant-sequences", d)).collect::<String>()),
    );
    plant.await_all_ready(180);

    let mut chance = Chance::new();
    for number in 0..STEPS {
        println!("{number}: {}", step(&plant, &mut group, &devices, &mut chance));
        // Of any length: each pause lets the changes meet in another order.
        std::thread::sleep(Duration::from_millis(chance.within(0..2500)));
    }
    for name in &devices {
        plant.kubectl(&["patch", "iotd", name, "--type=merge", "-p", r#"{"spec":{"blocked":false}}"#]);
    }
    let in_use =
        SymmetricKey::from_base64(KEYS[usize::from(group.in_use == "Secondary")]).expect("it is one");
    let owners: HashMap<String, &String> =
        devices.iter().map(|d| (in_use.derive(d).to_base64().to_string(), d)).collect();
    for name in &devices {
        plant.eventually(&format!("{name} has the key in use and nothing else"), 180, || {
            let secret = plant.get(&format!("secret/{name}-credentials")).ok_or("no Secret")?;
            let texts = texts(&secret);
            let foreign = texts.values().find(|text| owners.get(*text).is_some_and(|owner| *owner != name));
            assert_eq!(foreign, None, "{name} holds the key of another device");
            let key = texts.get("sharedAccessKey").and_then(|key| owners.get(key));
            if key == Some(&name) && !texts.contains_key("previousSharedAccessKey") {
                Ok(())
            } else {
                Err(format!("keys {:?}", texts.keys().collect::<Vec<_>>()))
            }
        });
    }
    plant.await_all_ready(180);
    for name in &devices {
        let at_hub = at_hub(name).expect("it has registered");
        assert!(at_hub.connected && at_hub.takeovers == 0, "{at_hub:?}");
        let state = plant.get(&format!("iotd/{name}")).expect("it is there")["status"].clone();
        assert_eq!(state["provisioningState"], "Provisioned", "{state}");
    }
}

/// Returns the content of a Secret, as text.
fn texts(secret: &Value) -> HashMap<String, String> {
    let data = secret["data"].as_object().cloned().unwrap_or_default();
    let read = |value: &Value| {
        let bytes: ByteString = serde_json::from_value(value.clone()).expect("data are base64");
        String::from_utf8(bytes.0).unwrap_or_default()
    };
    data.iter().map(|(name, value)| (name.clone(), read(value))).collect()
}
