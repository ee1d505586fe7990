//! The chart changes under running devices.

use lanyard_tests::installation::{Installation, SYSTEM, at_hub, command, get, kubectl};
use lanyard_tests::scratch::Scratch;

use crate::connected;

fn helm(arguments: &[&str]) -> String {
    let output = command("target/kubernetes/bin/helm").args(arguments).output().expect("helm can be started");
    let shown =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "helm {}:\n{shown}", arguments.join(" "));
    shown
}

#[test]
fn renders_what_the_servers_schemas_accept() {
    Installation::shared();
    for values in [
        "operator.everywhere=true,emulator.enabled=true",
        "operator.watchNamespaces={default,lanyard-demo},crds.keep=false",
        "operator.everywhere=true,serviceAccount.create=false,serviceAccount.name=default,rbac.create=false,operator.replicas=2",
    ] {
        let rendered = helm(&["template", "lanyard", "charts/lanyard", "-n", SYSTEM, "--set", values]);
        let folder = Scratch::new("rendered");
        let file = folder.write("chart.yaml", &rendered).display().to_string();
        kubectl(&[
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            &file,
        ]);
    }
}

#[test]
fn upgrades_without_disturbing_a_device_and_renews_the_crds() {
    let plant = connected("upgrade", &["upgrade-1".to_owned()]);
    let before = at_hub("upgrade-1").expect("it is connected");
    // As if an older chart had installed it: the upgrade must put it right.
    kubectl(&[
        "patch",
        "crd",
        "iotdevices.lanyard.dev",
        "--type=json",
        "-p",
        r#"[{"op":"replace","path":"/spec/names/shortNames","value":["older"]}]"#,
    ]);
    let ca = get(SYSTEM, "secret/lanyard-emulator-ca").expect("the chart made it");
    let conflicts = [
        "upgrade",
        "lanyard",
        "charts/lanyard",
        "-n",
        SYSTEM,
        "--reuse-values",
        "--wait",
        "--timeout",
        "3m",
        "--set",
        "operator.logLevel=debug",
        "--force-conflicts",
    ];
    helm(&conflicts);
    let crd: serde_json::Value =
        serde_json::from_str(&kubectl(&["get", "crd", "iotdevices.lanyard.dev", "-o", "json"])).unwrap();
    assert_eq!(crd["spec"]["names"]["shortNames"][0], "iotd");
    assert_eq!(
        ca["data"],
        get(SYSTEM, "secret/lanyard-emulator-ca").expect("it is kept")["data"],
        "the emulator's CA is kept"
    );
    let arguments = kubectl(&[
        "-n",
        SYSTEM,
        "get",
        "deploy",
        "lanyard-operator",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].args}",
    ]);
    assert!(arguments.contains("--log-level=debug"), "{arguments}");
    plant.await_all_ready(60);
    let after = at_hub("upgrade-1").expect("it is connected");
    assert_eq!((before.connections, after.takeovers), (after.connections, 0), "the device did not notice");
}
