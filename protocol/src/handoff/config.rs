//! The agent's configuration document: which devices it is, what they read and where they send it. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::interval::Interval;
use super::mistake::{Problem, count, list};
use crate::hub::host::HostPort;
use crate::hub::id::{DeviceId, IdScope, RegistrationId};

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

    proptest! {
        #[test]
        fn any_text_is_a_configuration_or_an_error(text in "\\PC{0,200}", tail in "[a-z0-9:{}\\[\\], \n-]{0,80}") {
            let _ = AgentConfig::parse(&text);
            let _ = AgentConfig::parse(&format!("version: 1\ndevices:\n{tail}"));
        }
    }
}
