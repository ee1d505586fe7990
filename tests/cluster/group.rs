//! A group of twenty: every device connected, events of each at the hub, and counts that say so.

use lanyard_tests::installation::{at_hub, values};

use crate::connected;

#[test]
fn twenty_devices_stream() {
    let devices: Vec<String> = (1..=20).map(|n| format!("twenty-{n:02}")).collect();
    let plant = connected("twenty", &devices);
    for device in &devices {
        plant.eventually(&format!("five events of {device} at the hub"), 60, || {
            let seen = values(device, "Count").len();
            if seen >= 5 { Ok(()) } else { Err(format!("{seen} events")) }
        });
        let at_hub = at_hub(device).expect("it has registered");
        assert!(at_hub.connected && at_hub.takeovers == 0, "{at_hub:?}");
    }
    plant.eventually("the group counts its devices", 30, || {
        let group = plant.get("provgrp/plant-a").ok_or("no group")?;
        let counts = &group["status"]["devices"];
        if counts["total"] == 20 && counts["connected"] == 20 && counts["provisioned"] == 20 {
            Ok(())
        } else {
            Err(counts.to_string())
        }
    });
}
