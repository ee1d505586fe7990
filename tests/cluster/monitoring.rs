//! Monitors, rules and dashboards before a real Prometheus, with the configuration that a real Prometheus operator
//! makes of them (O1–O3, O7).

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use lanyard_tests::authority::Authority;
use lanyard_tests::installation::{
    DEMO, HUB, Installation, Plant, SYSTEM, command, disconnect, eventually, kubectl, repository, try_kubectl,
};
use serde_json::Value;

use crate::{device, fresh, group};

/// Prometheus with the operator behind it; both end with the test.
struct Prometheus {
    address: String,
}

impl Prometheus {
    fn start() -> Self {
        Installation::shared();
        // Taken down again even when it does not come up.
        let mut prometheus = Self { address: String::new() };
        let output =
            command("tests/monitoring/prometheus").arg("up").output().expect("the script can be started");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
        shown.lines().last().expect("it prints the address").clone_into(&mut prometheus.address);
        prometheus
    }

    /// Returns the `data` of Prometheus' answer.
    fn ask(&self, path: &str, query: &str) -> Value {
        let url = format!("{}/api/v1/{path}", self.address);
        let query = format!("query={query}");
        let arguments = ["--silent", "--get", "--data-urlencode", &query, &url];
        let output = Command::new("curl").args(arguments).output().expect("curl can be started");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("Prometheus answers JSON");
        answer["data"].clone()
    }

    /// Returns the series that an expression has now.
    fn series(&self, query: &str) -> Vec<Value> {
        self.ask("query", query)["result"].as_array().cloned().unwrap_or_default()
    }

    /// Checks that every expression of the rules and dashboards finds series; names the missing ones.
    fn check(&self) -> Result<(), String> {
        let folder = repository().join("charts/lanyard/files");
        let boards =
            ["fleet", "device", "operator"].map(|name| folder.join(format!("dashboards/{name}.json")));
        let output = command("target/monitoring/check")
            .args(["series", &self.address])
            .arg(folder.join("rules/lanyard.yaml"))
            .args(boards)
            .output()
            .expect("the check can be started");
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = command("tests/monitoring/prometheus").arg("down").output();
    }
}

/// Returns the manifests of a device that fits no node, and of one whose certificate and CA have an expiry time.
fn troubled(unscheduled: &str, certified: &str) -> String {
    let authority = Authority::root("Plant Monitoring");
    authority.secret("ca")
        + &format!(
            "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {{name: certified}}
spec:
  dps: {{idScope: 0ne00ABCDEF, endpoint: {HUB}, trustedCA: {{configMapKeyRef: {{name: lanyard-emulator-ca, key: ca.crt}}}}}}
  attestation: {{x509: {{issuer: {{secretRef: {{name: ca}}}}}}}}
---
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {certified}}}
spec: {{groupRef: {{name: certified}}}}
---
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {unscheduled}}}
spec: {{groupRef: {{name: plant-a}}, agent: {{nodeSelector: {{nowhere: 'true'}}}}}}
---
"
        )
}

/// Waits until the targets are the running pods: a pod that begins or ends is seen by one of them first.
fn wait_for_every_target_once(plant: &Plant, prometheus: &Prometheus) {
    plant.eventually("every running pod is one target", 60, || {
        let (pods, found) = (running_pods(), healthy_targets(prometheus));
        if pods.len() > 5 && pods == found {
            Ok(())
        } else {
            Err(format!("pods {pods:?}, targets {found:?}"))
        }
    });
}

fn running_pods() -> Vec<String> {
    let pods = kubectl(&[
        "get",
        "pods",
        "-A",
        "-l",
        "app.kubernetes.io/name in (lanyard-agent,lanyard)",
        "--field-selector=status.phase=Running",
        "-o",
        r#"jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}"#,
    ]);
    let mut pods: Vec<String> =
        pods.lines().filter(|pod| !pod.contains("emulator")).map(str::to_owned).collect();
    pods.sort();
    pods
}

fn healthy_targets(prometheus: &Prometheus) -> Vec<String> {
    let targets = prometheus.ask("targets?state=active", "");
    let targets = targets["activeTargets"].as_array().cloned().unwrap_or_default();
    let word = |target: &Value, name: &str| target["labels"][name].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<String> = targets
        .iter()
        .filter(|target| target["health"] == "up")
        .map(|target| format!("{}/{}", word(target, "namespace"), word(target, "pod")))
        .collect();
    found.sort();
    found
}

/// Checks a page of metrics with promtool.
fn assert_lints(program: &str, page: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool can be started");
    promtool.stdin.take().expect("it is piped").write_all(page.as_bytes()).expect("promtool reads it");
    let output = promtool.wait_with_output().expect("promtool ends");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && message.is_empty(), "{program}: {message}");
    assert!(page.contains(&format!("lanyard_build_info{{program=\"{program}\"")), "{program}: no build info");
}

/// Returns the metrics of a pod with these labels. A test before this one may have replaced the pod a moment ago.
fn page(namespace: &str, selector: &str, port: u16) -> String {
    eventually("its metrics can be read", Duration::from_secs(60), namespace, || {
        let name = "jsonpath={.items[0].metadata.name}";
        let pod = try_kubectl(&["-n", namespace, "get", "pods", "-l", selector, "-o", name])?;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics");
        try_kubectl(&["get", "--raw", &path])
    })
}

#[test]
fn pages_of_every_program_pass_promtool() {
    Installation::shared();
    for (namespace, selector, program, port) in [
        (DEMO, "app.kubernetes.io/name=lanyard-agent", "lanyard-agent", 9090),
        (SYSTEM, "app.kubernetes.io/component=operator", "lanyard-operator", 8080),
        (SYSTEM, "app.kubernetes.io/component=emulator", "lanyard-emulator", 8880),
    ] {
        assert_lints(program, &page(namespace, selector, port));
    }
}

#[test]
fn prometheus_finds_every_target_and_every_series() {
    let plant = Plant::new("monitoring");
    let [steady, leaving, unscheduled, certified] =
        ["steady", "leaving", "unscheduled", "certified"].map(|name| fresh(&format!("monitored-{name}")));
    plant.apply(&(group("Primary") + &device(&steady) + &device(&leaving)));
    plant.await_all_ready(120);
    let prometheus = Prometheus::start();
    plant.apply(&troubled(&unscheduled, &certified));

    // A hub that closes a connection, an agent that starts again, and a credential that is made again raise no alert.
    disconnect(&steady);
    plant.kubectl(&["delete", "pod", &format!("{leaving}-agent-0")]);
    plant.kubectl(&["delete", "secret", &format!("{steady}-credentials")]);
    plant.eventually("every expression finds series", 120, || prometheus.check());
    plant.eventually("both devices are connected again", 60, || {
        let query = format!("sum(lanyard_device_connected{{namespace=\"{}\"}})", plant.namespace);
        let connected = prometheus.series(&query).first().map(|series| series["value"][1].clone());
        if connected == Some("2".into()) { Ok(()) } else { Err(format!("{connected:?}")) }
    });
    assert_eq!(prometheus.series("ALERTS{alertstate=\"firing\"}"), Vec::<Value>::new());
    // The certified device's agent is not allowed in by DPS, but runs.
    plant.eventually("every target is up", 30, || {
        let down = prometheus.series("up == 0");
        if down.is_empty() { Ok(()) } else { Err(format!("{down:?}")) }
    });
    wait_for_every_target_once(&plant, &prometheus);

    // O7: series go with their device.
    plant.kubectl(&["delete", "iotd", &leaving]);
    plant.eventually("the series of a deleted device end", 60, || {
        let left = prometheus.series(&format!("{{device=\"{leaving}\",__name__=~\"lanyard.*\"}}"));
        if left.is_empty() { Ok(()) } else { Err(format!("{} series", left.len())) }
    });
    drop(prometheus);
    assert!(
        try_kubectl(&["get", "podmonitors", "-A"]).is_err(),
        "the kinds of the Prometheus operator are left"
    );
}
