//! Lanyard as a user installs it: `tests/demo/up` on the cluster that `KUBECONFIG` names, and `kubectl` to look at it.
//! Writes the cluster; runs programs.

#![allow(clippy::panic, reason = "a test whose cluster does not do as it should fails")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

use crate::kubernetes::kubeconfig;

/// Namespace of operator and emulator.
pub const SYSTEM: &str = "lanyard-system";
/// Namespace of the demo's devices.
pub const DEMO: &str = "lanyard-demo";
/// The emulator's name for devices, as hub and as DPS.
pub const HUB: &str = "lanyard-emulator.lanyard-system.svc";

/// Returns the path of the checkout.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the checkout is there while its tests run")
}

/// The installed release. The first test that needs it installs it, and again after [`Installation::uninstall`].
pub struct Installation {
    /// Output of the demo.
    pub shown: String,
    /// Duration of the demo.
    pub took: Duration,
}

static SHARED: Mutex<Option<&'static Installation>> = Mutex::new(None);

impl Installation {
    /// Runs the demo, once for all tests of this process.
    ///
    /// # Panics
    /// When the demo fails, with all it printed.
    pub fn shared() -> &'static Self {
        SHARED.lock().get_or_insert_with(|| Box::leak(Box::new(Self::run())))
    }

    /// Removes Lanyard from the cluster; the next test that needs it installs it again.
    ///
    /// # Panics
    /// When the removal fails, with all it printed.
    pub fn uninstall() {
        let output = command("tests/demo/down").output().expect("tests/demo/down can be started");
        assert!(output.status.success(), "make demo-down failed:\n{}", text(&output));
        *SHARED.lock() = None;
    }

    /// Runs the demo again.
    ///
    /// # Panics
    /// When it fails, with all it printed.
    #[must_use]
    pub fn run() -> Self {
        let started = Instant::now();
        let output = command("tests/demo/up").output().expect("tests/demo/up can be started");
        let shown = text(&output);
        assert!(output.status.success(), "make demo failed:\n{shown}");
        Self { shown, took: started.elapsed() }
    }
}

/// Returns a command for a program of the checkout or of the path, run in the checkout with the cluster's own tools
/// first.
#[must_use]
pub fn command(program: &str) -> Command {
    let root = repository();
    let local = root.join(program);
    let mut command =
        if program.contains('/') && local.exists() { Command::new(local) } else { Command::new(program) };
    let tools = root.join("target/kubernetes/bin");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    command.current_dir(root).env("PATH", path).env("KUBECONFIG", kubeconfig()).stdin(Stdio::null());
    command
}

/// Runs kubectl.
///
/// # Errors
/// What it printed, when it fails.
pub fn try_kubectl(arguments: &[&str]) -> Result<String, String> {
    let tool = repository().join("target/kubernetes/bin/kubectl");
    let tool = if tool.exists() { tool.display().to_string() } else { "kubectl".to_owned() };
    let output =
        command(&tool).args(arguments).output().map_err(|e| format!("kubectl cannot be started: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(text(&output))
    }
}

/// Runs kubectl, which must succeed.
///
/// # Panics
/// When it fails, with what it printed.
pub fn kubectl(arguments: &[&str]) -> String {
    match try_kubectl(arguments) {
        Ok(shown) => shown,
        Err(shown) => panic!("kubectl {} failed:\n{shown}", arguments.join(" ")),
    }
}

/// Returns an object as JSON; `None` if kubectl cannot read it.
#[must_use]
pub fn get(namespace: &str, object: &str) -> Option<Value> {
    let shown = try_kubectl(&["-n", namespace, "get", object, "-o", "json"]).ok()?;
    Some(serde_json::from_str(&shown).expect("kubectl prints JSON"))
}

/// Returns the status, reason and message of a condition.
#[must_use]
pub fn condition(object: &Value, kind: &str) -> Option<(String, String, String)> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let found = all.iter().find(|c| c["type"] == kind)?;
    let field = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    Some((field("status"), field("reason"), field("message")))
}

/// Asks `probe` until it answers with a value.
///
/// # Panics
/// After `limit`, with the probe's last word and the state of `namespace`.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    namespace: &str,
    mut probe: impl FnMut() -> Result<T, String>,
) -> T {
    let started = Instant::now();
    loop {
        match probe() {
            Ok(value) => return value,
            Err(last) if started.elapsed() > limit => {
                panic!("{what}: not after {limit:?}; last seen: {last}\n{}", dump(namespace))
            }
            Err(_) => std::thread::sleep(Duration::from_millis(300)),
        }
    }
}

/// Returns objects, conditions, events and logs for a failure.
fn dump(namespace: &str) -> String {
    let mut all = String::new();
    let looks: [&[&str]; 4] = [
        &["-n", namespace, "get", "provgrp,iotd,sts,pods,secrets", "-o", "wide"],
        &["-n", namespace, "get", "events", "--sort-by=.lastTimestamp"],
        &[
            "-n",
            namespace,
            "logs",
            "-l",
            "lanyard.dev/device",
            "--tail=15",
            "--prefix",
            "--max-log-requests=40",
        ],
        &["-n", SYSTEM, "logs", "deployment/lanyard-operator", "--tail=40"],
    ];
    for look in looks {
        let shown = try_kubectl(look).unwrap_or_else(|error| error);
        let tail: Vec<&str> = shown.lines().rev().take(60).collect();
        let _ = writeln!(all, "--- kubectl {}", look.join(" "));
        tail.iter().rev().for_each(|line| {
            let _ = writeln!(all, "{line}");
        });
    }
    all
}

/// A namespace of a test's own, under `restricted`, in which the emulator is trusted; deleted at the end.
pub struct Plant {
    /// The namespace.
    pub namespace: String,
}

impl Plant {
    /// Makes the namespace on an installed cluster.
    ///
    /// # Panics
    /// When the cluster refuses it.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        Installation::shared();
        let namespace = format!("plant-{purpose}-{}", std::process::id());
        kubectl(&["create", "namespace", &namespace]);
        kubectl(&["label", "namespace", &namespace, "pod-security.kubernetes.io/enforce=restricted"]);
        let plant = Self { namespace };
        let ca = get(SYSTEM, "configmap/lanyard-emulator-ca").expect("the chart made it");
        let ca = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "lanyard-emulator-ca"}, "data": ca["data"]});
        plant.apply(&ca.to_string());
        plant
    }

    /// Applies manifests.
    ///
    /// # Panics
    /// When the API server refuses them.
    pub fn apply(&self, manifests: &str) {
        let output = with_input(&["-n", &self.namespace, "apply", "-f", "-"], manifests);
        assert!(output.status.success(), "kubectl apply failed:\n{}", text(&output));
    }

    /// Runs kubectl in the namespace.
    ///
    /// # Panics
    /// When it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        kubectl(&[&["-n", self.namespace.as_str()], arguments].concat())
    }

    /// Returns an object of the namespace as JSON; `None` if kubectl cannot read it.
    #[must_use]
    pub fn get(&self, object: &str) -> Option<Value> {
        get(&self.namespace, object)
    }

    /// Waits until `probe` answers with a value.
    ///
    /// # Panics
    /// After `seconds`, with the state of the namespace.
    pub fn eventually<T>(&self, what: &str, seconds: u64, probe: impl FnMut() -> Result<T, String>) -> T {
        eventually(what, Duration::from_secs(seconds), &self.namespace, probe)
    }

    /// Waits until the device's condition has the status and reason.
    ///
    /// # Panics
    /// When it does not come to be so.
    pub fn await_condition(&self, device: &str, kind: &str, status: &str, reason: &str) -> String {
        self.eventually(&format!("{device}: {kind}={status} ({reason})"), 90, || {
            let object = self.get(&format!("iotd/{device}")).ok_or("no such device")?;
            match condition(&object, kind) {
                Some((s, r, message)) if s == status && (reason.is_empty() || r == reason) => Ok(message),
                other => Err(format!("{other:?}")),
            }
        })
    }

    /// Waits until all devices are connected.
    ///
    /// # Panics
    /// When they do not come to be.
    pub fn await_all_ready(&self, seconds: u64) {
        let waited = try_kubectl(&[
            "-n",
            &self.namespace,
            "wait",
            "iotd",
            "--all",
            "--for=condition=Ready",
            &format!("--timeout={seconds}s"),
        ]);
        if let Err(error) = waited {
            panic!("not all devices are ready:\n{error}\n{}", dump(&self.namespace));
        }
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        let _ = try_kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

/// State of one device at the emulator.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AtHub {
    /// The id.
    pub device_id: String,
    /// True while it is connected.
    pub connected: bool,
    /// Number of its connections.
    pub connections: u64,
    /// Number of its connections that another one of the same device closed.
    pub takeovers: u64,
    /// Number of received messages.
    pub messages: u64,
}

/// Sends a request to the emulator's controls, from inside its pod: nothing else reaches them.
///
/// # Errors
/// What was printed, when the emulator refuses it or does not answer.
pub fn control(method: &str, path: &str, body: Option<&str>) -> Result<String, String> {
    let inside =
        ["-n", SYSTEM, "exec", "-i", "deployment/lanyard-emulator", "--", "/lanyard-emulator", "control"];
    let arguments = [&inside[..], &[method, path], if body.is_some() { &["--body"] } else { &[] }].concat();
    let output = with_input(&arguments, body.unwrap_or_default());
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(text(&output))
    }
}

/// Runs kubectl with this on its standard input.
fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = command(&repository().join("target/kubernetes/bin/kubectl").display().to_string())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl can be started");
    // When it ends without reading, what it prints says why.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("kubectl ends")
}

/// Returns the state of a device at the emulator, if the emulator knows it.
#[must_use]
pub fn at_hub(device: &str) -> Option<AtHub> {
    let all: Vec<AtHub> =
        serde_json::from_str(&control("get", "/api/devices", None).ok()?).expect("the emulator answers JSON");
    all.into_iter().find(|d| d.device_id == device)
}

/// Lets the hub close a device's connection.
///
/// # Panics
/// When it has none.
pub fn disconnect(device: &str) {
    if let Err(error) = try_disconnect(device) {
        panic!("{device} cannot be disconnected:\n{error}");
    }
}

/// Lets the hub close a device's connection, if it has one.
///
/// # Errors
/// When it has none.
pub fn try_disconnect(device: &str) -> Result<String, String> {
    control("post", &format!("/api/devices/{device}/disconnect"), None)
}

/// Returns the messages of a device at the hub, oldest first; none while the emulator does not answer.
///
/// # Panics
/// When an answer is not JSON.
#[must_use]
pub fn messages(device: &str) -> Vec<Value> {
    let path = format!("/api/events?device={device}&limit=10000");
    let lines = control("get", &path, None).unwrap_or_default();
    lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
        .collect()
}

/// Returns the values of a tag as the hub received them, in order, redelivered messages once.
#[must_use]
pub fn values(device: &str, tag: &str) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    messages(device)
        .into_iter()
        .filter(|message| seen.insert(message["systemProperties"]["message-id"].to_string()))
        .flat_map(|message| message["body"]["values"].as_array().cloned().unwrap_or_default())
        .filter(|event| event["id"] == tag)
        .map(|event| event["v"].clone())
        .collect()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
