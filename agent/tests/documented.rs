//! Comparison of docs/data-path.md and docs/monitoring.md with the agent: reasons, metrics, policies, tests, and the size
//! of an event.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_agent::buffer::counts::DropReason;
use lanyard_agent::buffer::store::{Buffer, SharedBuffers};
use lanyard_agent::http::process::register;
use lanyard_agent::messages::outbox::Outbox;
use lanyard_agent::status::collector::DeviceCollector;
use lanyard_agent::status::device::DeviceState;
use lanyard_agent::status::page::StatusPage;
use lanyard_agent::tags::event::{Event, Value};
use prometheus::Registry;
use prometheus::core::Collector;

const PAGE: &str = include_str!("../../docs/data-path.md");
const MONITORING: &str = include_str!("../../docs/monitoring.md");
const POLICIES: [&str; 6] = ["DropOldest", "DropNewest", "Block", "Never", "EverySecond", "EveryWrite"];

fn missing<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    words.filter(|word| !PAGE.contains(word)).collect()
}

#[test]
fn reasons_and_policies_are_documented() {
    assert_eq!(missing(DropReason::ALL.iter().map(|reason| reason.as_str())), Vec::<&str>::new());
    assert_eq!(missing(POLICIES.into_iter()), Vec::<&str>::new());
}

/// Every metric of a running agent, also those of a device and of its buffer.
#[test]
fn exported_metrics_are_documented() {
    let folder = std::env::temp_dir().join(format!("lanyard-documented-{}", std::process::id()));
    let shared = SharedBuffers::default();
    let buffer = Buffer::open(&folder, &Default::default(), &shared, Instant::now());
    let state =
        DeviceState::new("d", "d", Outbox::new(buffer, 0), lanyard_agent::clock::timestamp()).unwrap();
    let registry = Registry::new();
    let page = StatusPage::new(registry.clone()).unwrap();
    page.registry().register(Box::new(shared.syncer.delay())).unwrap();
    register(&registry).unwrap();
    let families = DeviceCollector::new(Arc::new(state)).collect();
    let names: Vec<String> =
        families.into_iter().chain(registry.gather()).map(|family| family.name().to_owned()).collect();
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    assert!(names.len() > 15, "{names:?}");
    let own = names.iter().filter(|name| name.starts_with("lanyard_"));
    let unknown: Vec<&String> =
        own.filter(|name| !PAGE.contains(*name) && !MONITORING.contains(*name)).collect();
    assert_eq!(unknown, Vec::<&String>::new());
}

#[test]
fn tests_named_in_the_page_exist() {
    let mut sources = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["agent", "tests"] {
        read(&root.join(folder), &mut sources);
    }
    let quoted = PAGE.split('`').skip(1).step_by(2);
    let is_test = |word: &&str| {
        !word.contains("lanyard")
            && word.contains('_')
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let named: Vec<&str> = quoted.filter(is_test).collect();
    assert!(named.len() > 20, "{named:?}");
    let unknown: Vec<&str> =
        named.into_iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

fn read(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources can be read") {
        let path = entry.expect("a folder of sources can be read").path();
        if path.is_dir() {
            read(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).expect("a source is text"));
        }
    }
}

/// Measures the bytes that an event of a 64-bit number takes in the buffer when `tags` of them are read at once.
fn bytes_of_an_event(tags: i64) -> f64 {
    let folder = std::env::temp_dir().join(format!("lanyard-documented-{}-{tags}", std::process::id()));
    let names: Vec<Arc<str>> =
        (0..tags).map(|tag| Arc::from(format!("Channel1.Device1.Tag{tag:04}"))).collect();
    let start = Instant::now();
    let mut buffer = Buffer::open(&folder, &Default::default(), &SharedBuffers::default(), start);
    for scan in 0..20_000 / tags {
        let event = |tag: &Arc<str>| Event {
            tag: Arc::clone(tag),
            value: Value::Double(scan as f64 * 0.37),
            good: true,
            continues: false,
            time: 1_700_000_000_000 + scan * 1000,
        };
        let events: Vec<Event> = names.iter().map(event).collect();
        buffer.append(&events, start + Duration::from_secs(scan as u64));
    }
    let counts = buffer.counts();
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    counts.bytes as f64 / counts.events as f64
}

#[test]
fn documented_size_of_an_event_is_right() {
    for (tags, words) in [(100, "10.4 bytes an event"), (1, "takes 46 bytes an event")] {
        let bytes: f64 = words.split(' ').find_map(|word| word.parse().ok()).expect("there is a number");
        let measured = bytes_of_an_event(tags);
        assert!((measured - bytes).abs() < 0.5, "{words}: {measured}");
        assert!(PAGE.contains(words), "{words}");
    }
}

/// The agent's own telemetry fields, which differ from the custom resource's.
#[test]
fn telemetry_of_the_agents_configuration_is_read_as_documented() {
    let page = include_str!("../../docs/formats.md");
    let block = page.split("```yaml agent-telemetry\n").nth(1).and_then(|rest| rest.split("```").next());
    let indented: String =
        block.expect("the block is there").lines().map(|line| format!("      {line}\n")).collect();
    let text = format!(
        "version: 1\ndevices:\n  - name: d\n    deviceId: d\n    hub: {{hostname: h}}\n    telemetry:\n{indented}"
    );
    let config = lanyard_handoff::config::AgentConfig::parse(&text).expect("it is read");
    let telemetry = &config.devices[0].telemetry;
    assert!(telemetry.template.is_some());
    assert_eq!(telemetry.format, lanyard_handoff::telemetry::Format::Wide);
}
