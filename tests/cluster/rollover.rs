//! The group's key in use changes from primary to secondary while its devices stream.

use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::installation::{at_hub, values};
use serde_json::Value;

use crate::{SECONDARY, connected, group};

#[test]
fn from_primary_to_secondary_loses_nothing() {
    let devices: Vec<String> = (1..=3).map(|n| format!("roll-{n}")).collect();
    let plant = connected("rollover", &devices);
    let before: Vec<u64> = devices.iter().map(|d| at_hub(d).expect("connected").connections).collect();
    plant.apply(&group("Secondary"));
    for (device, connections) in devices.iter().zip(before) {
        let derived = SymmetricKey::from_base64(SECONDARY).unwrap().derive(device).to_base64();
        plant.eventually(&format!("{device} has the key of the secondary"), 30, || {
            let name = format!("{device}-credentials");
            let shown = plant.kubectl(&[
                "get",
                "secret",
                &name,
                "-o",
                "go-template={{.data.sharedAccessKey | base64decode}}",
            ]);
            if shown.trim() == derived.as_str() { Ok(()) } else { Err("another key".to_owned()) }
        });
        // The kubelet hands the new Secret to the pod, the agent reconnects with it by itself.
        plant.eventually(&format!("{device} reconnects"), 120, || match at_hub(device) {
            Some(d) if d.connections > connections && d.connected => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let restarts = plant.kubectl(&[
            "get",
            "pods",
            "-l",
            &format!("lanyard.dev/device={device}"),
            "-o",
            "jsonpath={.items[*].status.containerStatuses[0].restartCount}",
        ]);
        assert_eq!(restarts.trim(), "0");
    }
    for device in &devices {
        let seen = values(device, "Count").len();
        let all = plant.eventually(&format!("{device} goes on"), 60, || {
            let all = values(device, "Count");
            if all.len() > seen + 5 { Ok(all) } else { Err(format!("{} events", all.len())) }
        });
        let numbers: Vec<i64> = all.iter().filter_map(Value::as_i64).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{device} lost events: {numbers:?}");
        assert_eq!(at_hub(device).map(|d| d.takeovers), Some(0));
    }
}
