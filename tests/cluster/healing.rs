//! Deleted objects and killed programs are restored, and no identity is connected twice.

use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::installation::{Plant, SYSTEM, at_hub, disconnect, kubectl, values};

use crate::{PRIMARY, assert_no_gap, connected, device, group};

#[test]
fn a_deleted_secret_comes_back_identical() {
    let plant = connected("secret", &["heal-secret".to_owned()]);
    let before = plant.get("secret/heal-secret-credentials").expect("the operator made it");
    plant.kubectl(&["delete", "secret", "heal-secret-credentials"]);
    let after = plant.eventually("the Secret is back", 30, || {
        plant.get("secret/heal-secret-credentials").ok_or("not yet".to_owned())
    });
    assert_eq!(before["data"], after["data"]);
    assert_ne!(before["metadata"]["uid"], after["metadata"]["uid"]);
    let derived = SymmetricKey::from_base64(PRIMARY).unwrap().derive("heal-secret").to_base64();
    let shown = plant.kubectl(&[
        "get",
        "secret",
        "heal-secret-credentials",
        "-o",
        "go-template={{.data.sharedAccessKey | base64decode}}",
    ]);
    assert_eq!(shown.trim(), derived.as_str());
    assert!(at_hub("heal-secret").is_some_and(|d| d.connected && d.takeovers == 0));
}

fn await_new_connection(plant: &Plant, device: &str, connections: u64) {
    plant.eventually("a new connection", 90, || match at_hub(device) {
        Some(d) if d.connections > connections && d.connected => Ok(()),
        other => Err(format!("{other:?}")),
    });
    plant.await_all_ready(60);
}

#[test]
fn a_restarted_agent_is_never_connected_twice() {
    let plant = connected("restarted", &["heal-restarted".to_owned()]);
    let connections = at_hub("heal-restarted").expect("it is connected").connections;
    plant.kubectl(&["rollout", "restart", "statefulset/heal-restarted-agent"]);
    await_new_connection(&plant, "heal-restarted", connections);
    assert_eq!(at_hub("heal-restarted").map(|d| d.takeovers), Some(0));
}

#[test]
fn a_deleted_agent_pod_comes_back_and_never_twice() {
    let plant = connected("pod", &["heal-pod".to_owned()]);
    let connections = at_hub("heal-pod").expect("it is connected").connections;
    plant.kubectl(&["delete", "pod", "-l", "lanyard.dev/device=heal-pod", "--wait=false"]);
    await_new_connection(&plant, "heal-pod", connections);
    assert_eq!(at_hub("heal-pod").map(|d| d.takeovers), Some(0));
}

#[test]
fn an_operator_killed_during_a_rollout_leaves_nothing_undone() {
    let devices: Vec<String> = (1..=8).map(|n| format!("heal-rollout-{n}")).collect();
    let plant = connected("rollout", &devices[..4]);
    plant.apply(&devices[4..].iter().map(|name| device(name)).collect::<String>());
    kubectl(&[
        "-n",
        SYSTEM,
        "delete",
        "pod",
        "-l",
        "app.kubernetes.io/component=operator",
        "--grace-period=0",
        "--force",
    ]);
    // A change for all devices without an operator: every agent is rolled once the operator is back.
    plant.apply(
        &group("Primary")
            .replace("interval: 1s", "interval: 500ms")
            .replace("  template:\n", "  template:\n    agent: {resources: {limits: {memory: 96Mi}}}\n"),
    );
    plant.eventually("every agent has the new limit", 180, || {
        let shown = plant.kubectl(&[
            "get",
            "sts",
            "-o",
            "jsonpath={.items[*].spec.template.spec.containers[0].resources.limits.memory}",
        ]);
        let changed = shown.split_whitespace().filter(|limit| *limit == "96Mi").count();
        if changed == devices.len() { Ok(()) } else { Err(shown) }
    });
    for name in &devices {
        plant.kubectl(&["rollout", "status", &format!("statefulset/{name}-agent"), "--timeout=120s"]);
    }
    plant.await_all_ready(180);
    for name in &devices {
        let seen = at_hub(name).expect("it has registered");
        assert!(seen.connected && seen.takeovers == 0, "{seen:?}");
    }
}

#[test]
fn a_connection_cut_by_the_hub_loses_no_event() {
    let plant = connected("cut", &["heal-cut".to_owned()]);
    for cut in 1..=3 {
        let (before, seen) =
            (at_hub("heal-cut").expect("it is connected"), values("heal-cut", "Count").len());
        disconnect("heal-cut");
        plant.eventually(&format!("events after cut {cut}"), 60, || {
            let (now, all) = (at_hub("heal-cut").ok_or("unknown")?, values("heal-cut", "Count").len());
            let back = now.connections > before.connections && all > seen + 5;
            if back { Ok(()) } else { Err(format!("{all} events; {now:?}")) }
        });
    }
    let all = values("heal-cut", "Count");
    assert_eq!(all.first(), Some(&serde_json::json!(0)));
    assert_no_gap("heal-cut", &all);
}

#[test]
fn a_hub_that_restarts_gets_the_events_that_follow() {
    let plant = connected("restart", &["heal-restart".to_owned()]);
    let pod = plant.kubectl(&["get", "pods", "-l", "lanyard.dev/device=heal-restart", "-o", "name"]);
    kubectl(&["-n", SYSTEM, "delete", "pod", "-l", "app.kubernetes.io/component=emulator"]);
    kubectl(&["-n", SYSTEM, "rollout", "status", "deployment/lanyard-emulator", "--timeout=60s"]);
    plant.eventually("events at the new emulator, which forgot the old ones", 120, || {
        let seen = values("heal-restart", "Count").len();
        if seen >= 20 { Ok(()) } else { Err(format!("{seen} events")) }
    });
    assert_no_gap("heal-restart", &values("heal-restart", "Count"));
    let after = plant.kubectl(&["get", "pods", "-l", "lanyard.dev/device=heal-restart", "-o", "name"]);
    assert_eq!(pod, after, "the agent did not restart");
}
