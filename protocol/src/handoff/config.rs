//! The agent's configuration document: which devices it is, what they read and where they send it. Pure.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::interval::Interval;
use crate::hub::host::HostPort;
use crate::hub::id::{DeviceId, IdScope, RegistrationId};
use crate::hub::property_bag::MESSAGE_ID;
use crate::hub::topic::telemetry as telemetry_topic;

/// MQTT's own limit is 65535 bytes (ref §4.1); the rest is for the system properties.
const LONGEST_TOPIC: usize = 64_000;

/// The version this code writes and reads. It grows when an older agent would misread a document.
pub const VERSION: u32 = 1;

/// The document's name in the ConfigMap and, by default, on a bare machine.
pub const FILE_NAME: &str = "agent.yaml";

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentConfig {
    /// [`VERSION`].
    pub version: u32,
    /// At least one; names are unique.
    pub devices: Vec<Device>,
}

/// One identity at one hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// Unique in the document: metric label, name in logs and in `/status`, and folder in the credentials directory.
    pub name: String,
    /// The id at the hub.
    pub device_id: DeviceId,
    /// Announced to DPS and at CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// Straight to this hub. Exactly one of `hub` and `dps` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Hub>,
    /// To the hub that DPS assigns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dps: Option<Dps>,
    /// Where tags are read.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// What is read.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// How it is sent.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// What is kept while the hub does not acknowledge.
    #[serde(default)]
    pub buffer: Buffer,
}

/// A hub the device connects to without asking DPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hub {
    /// `host` or `host:port`, 8883 by default.
    pub hostname: HostPort,
    /// Dialled instead of the hub, whose own name stays in user name and token (ref §1.13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_hostname: Option<HostPort>,
}

/// A DPS instance that assigns the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dps {
    /// `host` or `host:port`, 8883 by default.
    pub endpoint: HostPort,
    /// The instance's id scope.
    pub id_scope: IdScope,
    /// The name to register under; the device id unless it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<RegistrationId>,
}

/// A place where tags are read: exactly one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Unique in the device; tags refer to it.
    pub name: String,
    /// Functions and registers of a simulated controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulator: Option<Simulator>,
}

/// The simulator takes no settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulator {}

/// One named value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tag {
    /// Unique in the device; the `id` of its events.
    pub name: String,
    /// The name of one of the device's sources.
    pub source: String,
    /// What the source calls it, such as `RAMP(1000, 0, 100, 1)` or `K0001`.
    pub address: String,
    /// Time between two reads.
    #[serde(default = "Tag::default_scan_interval")]
    pub scan_interval: Interval,
    /// Which reads become events.
    #[serde(default)]
    pub publish: Publish,
}

impl Tag {
    /// Shortest and longest time between two reads: 10 ms and 27.7 hours.
    pub const SCAN_INTERVALS: std::ops::RangeInclusive<Interval> =
        Interval::from_millis(10)..=Interval::from_millis(99_999_990);

    /// One second.
    #[must_use]
    pub const fn default_scan_interval() -> Interval {
        Interval::from_secs(1)
    }
}

/// Which reads become events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Publish {
    /// Those whose value or quality differs from the last one.
    #[default]
    OnChange,
    /// Every one.
    EveryScan,
}

/// How events become messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Telemetry {
    /// The shape of a message.
    pub format: Format,
    /// Time between two messages.
    pub interval: Interval,
    /// Most events in one message, Narrow only; more become further messages at once.
    pub max_events: u32,
    /// MQTT quality of service: 0 or 1. With 0 an event counts as acknowledged when it is written to the connection.
    pub qos: u8,
    /// How long the hub may take to acknowledge a message before the connection is given up and made anew.
    pub timeout: Interval,
    /// Properties of every message.
    pub properties: BTreeMap<String, String>,
    /// System property `$.ct`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// System property `$.ce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
}

impl Telemetry {
    /// Shortest and longest time between two messages: 10 ms and 27.7 hours.
    pub const INTERVALS: std::ops::RangeInclusive<Interval> = Tag::SCAN_INTERVALS;
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            format: Format::default(),
            interval: Interval::from_secs(10),
            max_events: 1000,
            qos: 1,
            timeout: Interval::from_secs(5),
            properties: BTreeMap::new(),
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
        }
    }
}

/// The shape of a message's body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// The events since the last message, a tag possibly many times.
    #[default]
    Narrow,
    /// Every tag once, with its current value.
    Wide,
}

/// What is kept while the hub does not acknowledge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Buffer {
    /// Most bytes of events kept in memory; the oldest are dropped, and counted, beyond it.
    pub max_bytes: u64,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { max_bytes: 16 * 1024 * 1024 }
    }
}

/// A document that no agent can run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Written for another agent.
    #[error(
        "configuration version {found} is newer than this agent understands ({VERSION}): use an agent as new as the operator that wrote it"
    )]
    Newer {
        /// The document's version.
        found: u32,
    },
    /// Version 0, which nobody ever wrote.
    #[error("configuration version {found} does not exist: use version: {VERSION}")]
    UnknownVersion {
        /// The document's version.
        found: u32,
    },
    /// Not YAML, or not of this shape; the message has line and column.
    #[error("the configuration cannot be read: {0}")]
    Syntax(String),
    /// Readable, but not meaningful; every mistake is listed.
    #[error("the configuration has {}: {}", count(.0), list(.0))]
    Invalid(Vec<Problem>),
}

/// One mistake: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `devices[0].tags[2].source`.
    pub field: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

fn count(problems: &[Problem]) -> String {
    if problems.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", problems.len()) }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

impl AgentConfig {
    /// Reads YAML or JSON. The version is looked at first, so that a newer document fails with that word and not
    /// with its first unknown field.
    ///
    /// # Errors
    /// [`ConfigError`]: the version, the place of a syntax error, or every mistake at once.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let syntax = |error: serde_saphyr::Error| ConfigError::Syntax(error.to_string());
        match serde_saphyr::from_str::<Versioned>(text).map_err(syntax)?.version {
            VERSION => {}
            found if found > VERSION => return Err(ConfigError::Newer { found }),
            found => return Err(ConfigError::UnknownVersion { found }),
        }
        let config: Self = serde_saphyr::from_str(text).map_err(syntax)?;
        let problems = config.problems();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// The document's text: JSON, which is YAML too; the same configuration always gives the same bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("string keys and finite numbers only");
        text.push('\n');
        text
    }

    /// Every mistake that the types cannot refuse.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.devices.is_empty() {
            found.push(Problem {
                field: "devices".to_owned(),
                message: "name at least one device".to_owned(),
            });
        }
        let mut names = HashSet::new();
        for (position, device) in self.devices.iter().enumerate() {
            let field = format!("devices[{position}]");
            if !names.insert(device.name.as_str()) {
                let message = format!("{:?} stands twice; give every device a name of its own", device.name);
                found.push(Problem { field: format!("{field}.name"), message });
            }
            device.problems(&field, &mut found);
            if let Some(other) = self.devices.iter().take(position).find(|other| other.is_same_client(device))
            {
                let message = format!(
                    "{:?} and {:?} are one identity, which can have only one connection; take one of them out",
                    other.name, device.name
                );
                found.push(Problem { field: format!("{field}.deviceId"), message });
            }
        }
        found
    }
}

impl Device {
    /// Whether both are the same identity: a hub or DPS would let only one of them be connected.
    fn is_same_client(&self, other: &Self) -> bool {
        let registration = |device: &Self, dps: &Dps| {
            let id = dps.registration_id.as_ref().map_or(device.device_id.as_str(), RegistrationId::as_str);
            id.to_ascii_lowercase()
        };
        match ((&self.hub, &self.dps), (&other.hub, &other.dps)) {
            ((Some(a), _), (Some(b), _)) => {
                a.hostname.host().eq_ignore_ascii_case(b.hostname.host()) && self.device_id == other.device_id
            }
            ((None, Some(a)), (None, Some(b))) => {
                a.id_scope == b.id_scope && registration(self, a) == registration(other, b)
            }
            _ => false,
        }
    }

    fn problems(&self, field: &str, found: &mut Vec<Problem>) {
        let mut report = |path: &str, message: String| {
            found.push(Problem { field: format!("{field}.{path}"), message });
        };
        let is_folder = !self.name.is_empty()
            && self.name != "."
            && self.name != ".."
            && !self.name.contains(['/', '\\', '\0']);
        if !is_folder {
            report("name", "use a name that can be a folder, without '/'".to_owned());
        }
        match (&self.hub, &self.dps) {
            (Some(_), Some(_)) => report("dps", "set either hub or dps, not both".to_owned()),
            (None, None) => report("hub", "set hub or dps: where does the device connect?".to_owned()),
            (None, Some(Dps { registration_id: None, .. })) => {
                if let Err(error) = RegistrationId::new(self.device_id.as_str()) {
                    report("deviceId", format!("DPS will not register it: {error}"));
                }
            }
            _ => {}
        }
        let mut sources = HashSet::new();
        for (position, source) in self.sources.iter().enumerate() {
            if !sources.insert(source.name.as_str()) {
                report(&format!("sources[{position}].name"), format!("{:?} stands twice", source.name));
            }
            if source.simulator.is_none() {
                report(&format!("sources[{position}]"), "set the kind of source: simulator: {}".to_owned());
            }
        }
        let mut tags = HashSet::new();
        for (position, tag) in self.tags.iter().enumerate() {
            let path = format!("tags[{position}]");
            if tag.name.is_empty() {
                report(&format!("{path}.name"), "give the tag a name".to_owned());
            }
            if !tags.insert(tag.name.as_str()) {
                report(&format!("{path}.name"), format!("{:?} stands twice", tag.name));
            }
            if !sources.contains(tag.source.as_str()) {
                report(
                    &format!("{path}.source"),
                    format!("there is no source {:?}; name one of sources", tag.source),
                );
            }
            if !Tag::SCAN_INTERVALS.contains(&tag.scan_interval) {
                report(&format!("{path}.scanInterval"), "use 10ms to 99999990ms".to_owned());
            }
        }
        let telemetry = &self.telemetry;
        if !Telemetry::INTERVALS.contains(&telemetry.interval) {
            report("telemetry.interval", "use 10ms to 99999990ms".to_owned());
        }
        if telemetry.max_events == 0 {
            report("telemetry.maxEvents", "use 1 or more".to_owned());
        }
        if telemetry.qos > 1 {
            report("telemetry.qos", "a hub takes 0 or 1".to_owned());
        }
        if telemetry.timeout.get().is_zero() {
            report("telemetry.timeout", "use more than 0s".to_owned());
        }
        if telemetry.properties.contains_key(MESSAGE_ID) {
            report("telemetry.properties", "$.mid is the agent's own; take it out".to_owned());
        }
        let topic =
            telemetry_topic(self.device_id.as_str(), &telemetry.properties.clone().into_iter().collect());
        if topic.len() > LONGEST_TOPIC {
            let message =
                format!("they make an MQTT topic of {} bytes; use less than {LONGEST_TOPIC}", topic.len());
            report("telemetry.properties", message);
        }
        if telemetry.properties.keys().any(|key| key.is_empty()) {
            report("telemetry.properties", "a property needs a name".to_owned());
        }
        if self.buffer.max_bytes < 64 * 1024 {
            report("buffer.maxBytes", "use 65536 or more".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: &str = "
version: 1
devices:
  - name: press-17
    deviceId: press-17
    hub: {hostname: 'localhost:18883'}
    sources: [{name: sim, simulator: {}}]
    tags: [{name: Ramp, source: sim, address: 'RAMP(1000, 0, 100, 1)'}]
    telemetry: {interval: 500ms}
";

    #[test]
    fn one_identity_cannot_stand_twice() {
        let of = |name: &str, place: &str| format!("{{name: {name}, deviceId: dev, {place}}}");
        let problems = |a: &str, b: &str| {
            let text = format!("{{version: 1, devices: [{}, {}]}}", of("a", a), of("b", b));
            AgentConfig::parse(&text).err().map(|error| error.to_string())
        };
        let twice = problems("hub: {hostname: 'Hub.example:1'}", "hub: {hostname: hub.example}").unwrap();
        assert!(twice.contains("devices[1].deviceId: \"a\" and \"b\" are one identity"), "{twice}");
        let dps = |id: &str| format!("dps: {{endpoint: dps.example, idScope: 0ne1, registrationId: {id}}}");
        assert!(problems(&dps("Dev"), &dps("dev")).is_some());
        assert_eq!(problems(&dps("dev"), &dps("dev2")), None);
        assert_eq!(problems("hub: {hostname: hub.example}", "hub: {hostname: other.example}"), None);
    }

    #[test]
    fn properties_must_fit_into_a_topic() {
        let properties = |text: &str| {
            let text = format!(
                "{{version: 1, devices: [{{name: a, deviceId: d, hub: {{hostname: h}}, telemetry: {{properties: {{{text}}}}}}}]}}"
            );
            AgentConfig::parse(&text).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(properties("location: abcd"), "");
        assert!(properties("$.mid: mine").contains("$.mid"));
        assert!(properties(&format!("long: '{}'", "x".repeat(65_000))).contains("topic"));
    }

    #[test]
    fn a_small_document_gets_the_defaults() {
        let config = AgentConfig::parse(SMALL).unwrap();
        let device = &config.devices[0];
        assert_eq!(device.hub.as_ref().unwrap().hostname.port(), 18883);
        assert_eq!(device.tags[0].scan_interval, Interval::from_secs(1));
        assert_eq!(device.tags[0].publish, Publish::OnChange);
        assert_eq!(device.telemetry.interval, Interval::from_millis(500));
        assert_eq!((device.telemetry.max_events, device.telemetry.qos), (1000, 1));
        assert_eq!(AgentConfig::parse(&config.to_text()).unwrap(), config);
    }

    #[test]
    fn a_newer_document_fails_with_that_word() {
        let error = AgentConfig::parse("{version: 2, devices: [{surprise: 1}], more: x}").unwrap_err();
        assert!(
            error.to_string().starts_with("configuration version 2 is newer than this agent understands (1)"),
            "{error}"
        );
        assert!(matches!(
            AgentConfig::parse("{version: 0, devices: []}"),
            Err(ConfigError::UnknownVersion { found: 0 })
        ));
    }

    #[test]
    fn a_typing_error_is_shown_with_its_place() {
        let text = SMALL.replace("interval:", "intervall:");
        let error = AgentConfig::parse(&text).unwrap_err().to_string();
        assert!(error.contains("intervall") && error.contains("line 9"), "{error}");
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let text = "
version: 1
devices:
  - name: a/b
    deviceId: x
    tags:
      - {name: T, source: nowhere, address: K1, scanInterval: 1ms}
      - {name: T, source: nowhere, address: K2}
    telemetry: {qos: 2, maxEvents: 0}
";
        let Err(ConfigError::Invalid(problems)) = AgentConfig::parse(text) else { unreachable!() };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "devices[0].name",
                "devices[0].hub",
                "devices[0].tags[0].source",
                "devices[0].tags[0].scanInterval",
                "devices[0].tags[1].name",
                "devices[0].tags[1].source",
                "devices[0].telemetry.maxEvents",
                "devices[0].telemetry.qos",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_configuration_or_an_error(text in "\\PC{0,200}", tail in "[a-z0-9:{}\\[\\], \n-]{0,80}") {
            let _ = AgentConfig::parse(&text);
            let _ = AgentConfig::parse(&format!("version: 1\ndevices:\n{tail}"));
        }
    }
}
