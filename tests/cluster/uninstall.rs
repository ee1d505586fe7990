//! Uninstalling: devices stay and stream, and a namespace full of them still deletes cleanly.

use std::time::Duration;

use lanyard_tests::installation::{Installation, SYSTEM, command, eventually, get, kubectl, try_kubectl};

use crate::connected;

#[test]
fn leaves_devices_running_and_blocks_no_deletion() {
    let plant = connected("uninstall", &["left-1".to_owned(), "left-2".to_owned()]);
    kubectl(&["-n", SYSTEM, "delete", "deployment", "lanyard-operator", "--wait"]);
    assert!(plant.get("iotd/left-1").is_some() && plant.get("sts/left-1-agent").is_some());

    let output = command("target/kubernetes/bin/helm")
        .args(["uninstall", "lanyard", "-n", SYSTEM, "--wait", "--timeout", "2m"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(plant.get("iotd/left-1").is_some(), "the CRDs, and with them the devices, are kept");
    assert!(get(SYSTEM, "deploy/lanyard-operator").is_none());
    assert!(try_kubectl(&["get", "clusterrole", "lanyard-operator"]).is_err(), "its rights are gone");

    kubectl(&["delete", "namespace", &plant.namespace, "--timeout=120s"]);
    Installation::uninstall();
    eventually("nothing of Lanyard is left", Duration::from_secs(60), SYSTEM, || {
        let left = try_kubectl(&["get", "crd,ns,clusterrole,clusterrolebinding", "-o", "name"])?;
        match left.lines().find(|line| line.contains("lanyard")) {
            None => Ok(()),
            Some(line) => Err(line.to_owned()),
        }
    });
}
