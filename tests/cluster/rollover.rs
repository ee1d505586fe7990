//! A group's keys change while fifty of its devices stream: to the other key, to another value under the same name, and to
//! a wrong one.

use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::cloud::put_key_group;
use lanyard_tests::installation::{Plant, at_hub, values};
use serde_json::Value;

use crate::{KeyGroup, assert_no_gap, device_of, fresh};

const DEVICES: u64 = 50;
const FIRST: &str = "cm9sbG92ZXItcHJpbWFyeS1yb2xsb3Zlci1wcmltYXJ5LXJvbGxvdmVyLXByaW1hcnktMDAwMDAwMDE=";
const SECOND: &str = "cm9sbG92ZXItc2Vjb25kYXJ5LXJvbGxvdmVyLXNlY29uZGFyeS1yb2xsb3Zlci1zZWNvbmRhcnkwMDI=";
const THIRD: &str = "cm9sbG92ZXItdGhpcmQtcm9sbG92ZXItdGhpcmQtcm9sbG92ZXItdGhpcmQtcm9sbG92ZXItdGgwMDM=";
const FOURTH: &str = "cm9sbG92ZXItZm91cnRoLXJvbGxvdmVyLWZvdXJ0aC1yb2xsb3Zlci1mb3VydGgtcm9sbG92ZXIwMDQ=";

fn rollover(plant: &Plant) -> Value {
    plant.get("provgrp/plant-rollover").map(|group| group["status"]["rollover"].clone()).unwrap_or_default()
}

/// Waits until every device was at the hub with a key that is derived from `key`.
fn await_moved(plant: &Plant, what: &str, key: &str, devices: &[String]) {
    plant.eventually(what, 240, || {
        let now = rollover(plant);
        let done = now["moved"] == DEVICES && now["pending"] == 0 && now["refused"] == 0;
        let first = plant.kubectl(&[
            "get",
            "secret",
            &format!("{}-credentials", devices[0]),
            "-o",
            "go-template={{.data.sharedAccessKey | base64decode}}",
        ]);
        let derived = SymmetricKey::from_base64(key).expect("it is one").derive(&devices[0]).to_base64();
        if done && first.trim() == derived.as_str() { Ok(()) } else { Err(now.to_string()) }
    });
}

#[test]
fn fifty_devices_follow_their_groups_key_and_lose_nothing() {
    let plant = Plant::new("rollover");
    put_key_group("plant-rollover", FIRST, SECOND);
    let devices: Vec<String> = (1..=DEVICES).map(|n| fresh(&format!("roll-{n:02}"))).collect();
    let mut group =
        KeyGroup { name: "plant-rollover", keys: [FIRST, SECOND], in_use: "Primary", interval: "1s" };
    plant
        .apply(&(group.yaml() + &devices.iter().map(|d| device_of("plant-rollover", d)).collect::<String>()));
    plant.await_all_ready(300);

    group.in_use = "Secondary";
    plant.apply(&group.yaml());
    await_moved(&plant, "all are at the secondary key", SECOND, &devices);

    group.keys[1] = THIRD;
    put_key_group("plant-rollover", FIRST, THIRD);
    plant.apply(&group.yaml());
    await_moved(&plant, "all are at the new value of the secondary key", THIRD, &devices);

    // A key that DPS does not know: the first few are refused and go on, the others are not even asked to move.
    group.keys[1] = FOURTH;
    plant.apply(&group.yaml());
    let stopped = plant.eventually("it stops after a few refusals", 180, || {
        let now = rollover(&plant);
        if now["refused"].as_u64() >= Some(3) { Ok(now) } else { Err(now.to_string()) }
    });
    assert!(
        stopped["refusals"][0]["message"].as_str().is_some_and(|message| !message.is_empty()),
        "{stopped}"
    );
    let connected = devices.iter().filter(|name| at_hub(name).is_some_and(|d| d.connected)).count();
    assert_eq!(connected, devices.len(), "nothing that worked stops working");
    put_key_group("plant-rollover", FIRST, FOURTH);
    plant.apply(&group.yaml().replace("interval: 1s", "interval: 900ms"));
    await_moved(&plant, "all are at the key that was wrong before", FOURTH, &devices);

    for name in &devices {
        let all = values(name, "Count");
        assert!(all.len() > 100, "{name} has {} events", all.len());
        assert_no_gap(name, &all);
        assert_eq!(at_hub(name).map(|d| (d.connected, d.takeovers)), Some((true, 0)), "{name}");
    }
    let restarts = plant.kubectl(&[
        "get",
        "pods",
        "-o",
        "jsonpath={.items[*].status.containerStatuses[0].restartCount}",
    ]);
    assert!(restarts.split_whitespace().all(|count| count == "0"), "{restarts}");
}
