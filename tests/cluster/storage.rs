//! A buffer on a claim outlives the agent's pod: while the hub is away the pod is deleted, drained from its node or replaced by
//! one of another image, and the hub gets every event.

use std::ops::Range;

use lanyard_tests::installation::{
    Plant, SYSTEM, command, kubectl, repository, try_disconnect, try_kubectl, values,
};
use lanyard_tests::scratch::Scratch;
use lanyard_tests::volume::Volume;
use serde_json::{Value, json};

use crate::group;

/// Of the operator's Deployment.
const ARGUMENTS: &str = "/spec/template/spec/containers/0/args";
/// So many events must be waiting before the pod goes.
const WAITING: u64 = 20;

/// Returns the manifest of a device that counts its reads, five a second, and buffers them on a claim.
fn device(name: &str, class: Option<&str>) -> String {
    let class = class.map(|class| format!("storageClassName: {class}")).unwrap_or_default();
    format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {name}}}
spec:
  groupRef: {{name: plant-a}}
  tags: [{{name: Reads, source: sim, address: R0001, scanInterval: 200ms}}]
  buffer: {{capacity: 16Mi, storage: {{claim: {{{class}}}}}}}
---
"
    )
}

/// Creates a volume for the test, unless the cluster makes one by itself.
fn volume(purpose: &str) -> Option<Volume> {
    let classes = kubectl(&["get", "storageclass", "-o", "json"]);
    let default = "\"storageclass.kubernetes.io/is-default-class\": \"true\"";
    (!classes.contains(default)).then(|| Volume::new(purpose, false))
}

/// Event counts from the agent's metrics.
#[derive(Debug, Clone)]
struct AgentMetrics {
    text: String,
}

impl AgentMetrics {
    /// Reads the metrics of the agent that runs now; an agent that does not answer is an error.
    fn of(plant: &Plant, device: &str) -> Result<Self, String> {
        let path = format!("/api/v1/namespaces/{}/pods/{device}-agent-0:9090/proxy/metrics", plant.namespace);
        try_kubectl(&["get", "--raw", &path]).map(|text| Self { text })
    }

    /// Returns the sum of a metric's series.
    fn get(&self, metric: &str) -> u64 {
        self.sum(metric, "")
    }

    /// Returns the sum of a metric's series that have this label.
    fn sum(&self, metric: &str, label: &str) -> u64 {
        let meant = |line: &&str| line.starts_with(&format!("{metric}{{")) && line.contains(label);
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        let all = self.text.lines().filter(meant).filter_map(value).fold(0.0, |all, one| all + one);
        format!("{all:.0}").parse().expect("counters are numbers")
    }

    fn failed_attempts(&self) -> u64 {
        self.sum("lanyard_device_connection_attempts_total", "result=\"HostUnreachable\"")
    }

    fn read(&self) -> u64 {
        self.get("lanyard_events_read_total")
    }

    fn acknowledged(&self) -> u64 {
        self.get("lanyard_events_acknowledged_total")
    }

    fn close(&self) -> bool {
        let dropped = self.get("lanyard_events_dropped_total");
        dropped == 0 && self.read() == self.acknowledged() + self.get("lanyard_buffer_events")
    }
}

/// The hub is away while this is in scope: nothing answers where devices connect.
struct Away;

impl Away {
    fn port(target: &str) -> String {
        let patch =
            format!(r#"[{{"op": "replace", "path": "/spec/ports/0/targetPort", "value": {target}}}]"#);
        let service = ["-n", SYSTEM, "patch", "service", "lanyard-emulator", "--type=json", "-p", &patch];
        try_kubectl(&service).unwrap_or_else(|error| error)
    }

    /// Returns the counts after the device was cut off and has not reached the hub since.
    fn from(plant: &Plant, device: &str) -> Self {
        let away = Self;
        let before = AgentMetrics::of(plant, device).expect("its agent runs").failed_attempts();
        println!("{}", Self::port("1"));
        plant.eventually("the device finds no hub", 60, || {
            // Who is connected stays so until it is cut; who has none need not be.
            let _ = try_disconnect(device);
            let metrics = AgentMetrics::of(plant, device)?;
            // After a refusal no connection is accepted.
            let refused = metrics.failed_attempts() > before && metrics.get("lanyard_device_connected") == 0;
            if refused { Ok(()) } else { Err(metrics.text) }
        });
        away
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        println!("{}", Self::port("\"mqtt\""));
    }
}

/// Returns the ranges in which each process of the agent counts.
fn runs(values: &[Value]) -> Vec<Range<usize>> {
    let zero = |at: &usize| values[*at] == 0;
    let starts: Vec<usize> = (0..values.len()).filter(zero).collect();
    let ends = starts.iter().skip(1).copied().chain([values.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// Lets `replace` replace the agent's pod while the hub is away.
fn outlives(name: &str, replace: impl FnOnce(&Plant, &str)) {
    let plant = Plant::new(name);
    let volume = volume(name);
    let class = volume.as_ref().map(|volume| volume.class.as_str());
    // The hub outlives a test, and knows what a device of this name sent before.
    let earlier = values(name, "Reads").len();
    let at_hub = || values(name, "Reads").split_off(earlier);
    plant.apply(&(group("Primary") + &device(name, class)));
    plant.await_all_ready(120);
    plant.eventually("events at the hub", 60, || {
        let seen = at_hub().len();
        if seen > 5 { Ok(()) } else { Err(format!("{seen} events")) }
    });
    let away = Away::from(&plant, name);
    let before = plant.eventually("events that wait", 60, || {
        let metrics = AgentMetrics::of(&plant, name)?;
        if metrics.get("lanyard_buffer_events") >= WAITING { Ok(metrics) } else { Err(metrics.text) }
    });
    assert!(before.close(), "{}", before.text);
    let pod =
        |plant: &Plant| plant.get(&format!("pod/{name}-agent-0")).map(|pod| pod["metadata"]["uid"].clone());
    let first = pod(&plant);
    replace(&plant, name);
    let recovered = plant.eventually("a new pod that has found the events", 120, || {
        if pod(&plant) == first {
            return Err("the same pod".to_owned());
        }
        let metrics = AgentMetrics::of(&plant, name)?;
        let recovered = metrics.get("lanyard_events_recovered_total");
        if recovered > 0 { Ok(recovered) } else { Err(metrics.text) }
    });
    // Whatever the first one has read since is among them.
    assert!(before.acknowledged() + recovered >= before.read(), "{recovered} of\n{}", before.text);
    drop(away);
    plant.eventually("everything at the hub", 120, || {
        let metrics = AgentMetrics::of(&plant, name)?;
        if metrics.acknowledged() > recovered { Ok(()) } else { Err(metrics.text) }
    });
    let after = AgentMetrics::of(&plant, name).expect("it answered before");
    assert!(after.close(), "{}", after.text);
    let at_hub = at_hub();
    let runs = runs(&at_hub);
    assert_eq!(runs.len(), 2, "one process before, one after: {at_hub:?}");
    for run in &runs {
        let counts = at_hub[run.clone()].iter().zip(0_u64..).all(|(value, expected)| *value == expected);
        assert!(counts, "events are missing or out of order: {at_hub:?}");
    }
    assert_eq!(runs[0].len() as u64, before.acknowledged() + recovered, "{at_hub:?}");

    // The claim stays when its device goes, and whoever made its volume can take that away when the pod has gone too.
    plant.kubectl(&["delete", "iotd", name]);
    plant.eventually("the pod is gone", 60, || match plant.get(&format!("pod/{name}-agent-0")) {
        None => Ok(()),
        Some(pod) => Err(pod["status"].to_string()),
    });
    assert!(
        plant
            .get(&format!("pvc/{name}-agent-buffer"))
            .is_some_and(|claim| claim["status"]["phase"] == "Bound")
    );
}

#[test]
fn on_a_claim_outlives_a_deleted_pod() {
    outlives("storage-deleted", |plant, name| {
        plant.kubectl(&["delete", "pod", &format!("{name}-agent-0"), "--wait=false"]);
    });
}

/// The node takes pods again, whatever becomes of the test.
struct Uncordoned(String);

impl Drop for Uncordoned {
    fn drop(&mut self) {
        println!("{}", try_kubectl(&["uncordon", &self.0]).unwrap_or_else(|error| error));
    }
}

#[test]
fn on_a_claim_outlives_a_drained_node() {
    outlives("storage-drained", |plant, name| {
        let pod = plant.get(&format!("pod/{name}-agent-0")).expect("it runs");
        let node = pod["spec"]["nodeName"].as_str().expect("it runs somewhere").to_owned();
        let node = Uncordoned(node);
        // By the eviction API, as administrators do, but of all pods only this one.
        let only = format!("--pod-selector=lanyard.dev/device={name}");
        println!("{}", kubectl(&["drain", &node.0, &only, "--timeout=120s"]));
    });
}

/// Upgrade of the operator: while it is in scope, agents are made of the same image under another name.
struct Upgrade {
    image: String,
    /// Previous arguments of the operator.
    arguments: Value,
}

impl Upgrade {
    fn begin() -> Self {
        let images = repository().join("target/images");
        let read = |name: &str| std::fs::read(images.join(name)).expect("the images are made");
        let before = String::from_utf8(read("lanyard-agent.name")).expect("a name is text");
        // As long as the other name, whose place it takes in the archive.
        let image = before.trim().replace(":dev-", ":new-");
        let mut archive = read("lanyard-agent.tar");
        let tag = |name: &str| name.rsplit(':').next().expect("it has a tag").as_bytes().to_vec();
        let (old, new) = (tag(before.trim()), tag(&image));
        let places: Vec<usize> =
            (0..archive.len() - old.len()).filter(|&at| archive[at..].starts_with(&old)).collect();
        assert!(!places.is_empty() && old != new && old.len() == new.len(), "{before} becomes {image}");
        places.iter().for_each(|&at| archive[at..at + new.len()].copy_from_slice(&new));
        let folder = Scratch::new("upgrade");
        let path = folder.path().join("lanyard-agent.tar");
        std::fs::write(&path, archive).expect("the folder is there");
        let loaded = command("tests/kubernetes/load-images").arg(&path).output().expect("it can be started");
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));

        let operator = kubectl(&["-n", SYSTEM, "get", "deploy", "lanyard-operator", "-o", "json"]);
        let operator: Value = serde_json::from_str(&operator).expect("kubectl writes JSON");
        let arguments = operator.pointer(ARGUMENTS).expect("it has arguments").clone();
        let mut changed = arguments.clone();
        for argument in changed.as_array_mut().expect("a list") {
            if argument.as_str().is_some_and(|argument| argument.starts_with("--agent-image=")) {
                *argument = format!("--agent-image={image}").into();
            }
        }
        assert_ne!(arguments, changed);
        let this = Self { image, arguments };
        Self::set(&changed).expect("the operator can be changed");
        this
    }

    fn set(arguments: &Value) -> Result<String, String> {
        let patch = json!([{"op": "replace", "path": ARGUMENTS, "value": arguments}]).to_string();
        try_kubectl(&["-n", SYSTEM, "patch", "deploy", "lanyard-operator", "--type=json", "-p", &patch])
    }
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        println!("{}", Self::set(&self.arguments).unwrap_or_else(|error| error));
    }
}

#[test]
fn on_a_claim_outlives_an_upgrade_of_the_agent() {
    let upgrade = std::cell::OnceCell::new();
    outlives("storage-upgrade", |plant, name| {
        let upgrade: &Upgrade = upgrade.get_or_init(Upgrade::begin);
        plant.eventually("a pod of the other image", 120, || {
            let pod = plant.get(&format!("pod/{name}-agent-0")).ok_or("no pod")?;
            let image = &pod["spec"]["containers"][0]["image"];
            if *image == upgrade.image { Ok(()) } else { Err(image.to_string()) }
        });
    });
}
