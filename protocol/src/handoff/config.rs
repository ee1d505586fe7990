//! The agent's configuration document: which devices it is, what they read and where they send it. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::buffer::Buffer;
pub use super::tag::{DataType, Deadband, Publish, Simulator, Source, Tag};
pub use super::telemetry::{Format, InitialUpdate, LastWill, Telemetry};
use crate::document::problem::located;
use crate::document::problem::{count, list};
use crate::document::read::{self, DocumentError};
use crate::document::substitute::Disclosure;
use crate::handoff::validation::Problem;
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
    /// The object that the configuration was made from, for `/status`; only an operator sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Announced to DPS and at CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// Straight to this hub. Exactly one of `hub` and `dps` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Hub>,
    /// To the hub that DPS assigns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dps: Option<Dps>,
    /// Sources of the tags.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// Tags to read.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Format and timing of messages.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Buffer for events until the hub acknowledges them.
    #[serde(default)]
    pub buffer: Buffer,
    /// Message that the hub sends if the connection ends unexpectedly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_will: Option<LastWill>,
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
    /// Version 0, which no program has written.
    #[error("configuration version {found} does not exist: use version: {VERSION}")]
    UnknownVersion {
        /// The document's version.
        found: u32,
    },
    /// Not YAML, not of this shape or not meaningful: every problem with field, line and column.
    #[error("the configuration has {}: {}", count(.0), list(.0))]
    Invalid(Vec<Problem>),
}

impl AgentConfig {
    /// Reads YAML or JSON. The version is looked at first, so that a newer document fails with that word and not
    /// with its first unknown field.
    ///
    /// # Errors
    /// [`ConfigError`]: the version, the place of a syntax error, or every problem at once.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        match serde_saphyr::from_str::<Versioned>(text).map(|document| document.version) {
            Ok(found) if found > VERSION => return Err(ConfigError::Newer { found }),
            Ok(found) if found < VERSION => return Err(ConfigError::UnknownVersion { found }),
            _ => {}
        }
        let problems = match read::read::<Self>(text, stand_in, Disclosure::Repeated) {
            Ok(mut config) => match config.problems() {
                problems if problems.is_empty() => {
                    // It is kept as long as the agent runs.
                    for device in &mut config.devices {
                        device.sources.shrink_to_fit();
                        device.tags.shrink_to_fit();
                    }
                    return Ok(config);
                }
                problems => problems,
            },
            Err(DocumentError { mut problems, mended }) => {
                let mut more = mended.map(|config| config.problems()).unwrap_or_default();
                more.retain(|more| !problems.iter().any(|found| found.covers(&more.field)));
                problems.extend(more);
                problems
            }
        };
        Err(ConfigError::Invalid(located(problems, text)))
    }

    /// The document's text: JSON, which is YAML too; the same configuration always gives the same bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("string keys and finite numbers only");
        text.push('\n');
        text
    }
}

/// Right values for what must be there, so that all other problems can be found.
fn stand_in(field: &str, number: usize) -> Option<Value> {
    match field {
        "version" => Some(json!(VERSION)),
        "devices" => Some(json!([])),
        "name" | "deviceId" | "source" => Some(json!(format!("stand-in-{number}"))),
        "hostname" | "endpoint" => Some(json!("stand-in")),
        "idScope" => Some(json!("0ne")),
        "address" => Some(json!("K0001")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::interval::Interval;
    use super::*;

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
        assert!(
            error.contains(
                "devices[0].telemetry.intervall (line 9, column 28): there is no such field here: did \
                you mean interval? use format, template, interval"
            ),
            "{error}"
        );
    }

    /// Each with field, place, what was found and what is allowed, and problems of shape beside those of meaning.
    #[test]
    fn mistakes_of_all_kinds_are_told_at_once() {
        let text = "
version: 1
devices:
  - name: 17
    deviceId: a b
    hub: {hostname: 'h:99999'}
    tags:
      - {name: T, address: K0001, scanInterval: 5ms}
      - {name: U, source: sim, address: 7, publish: Never}
    telemetry: {interval: banana, maxEvents: -5, qos: 2}
    sources: {}
";
        let Err(ConfigError::Invalid(problems)) = AgentConfig::parse(text) else { unreachable!() };
        let said: Vec<_> = problems.iter().map(Problem::to_string).collect();
        let expected = [
            "devices[0].deviceId (line 5, column 15): device id must not contain ' '",
            "devices[0].hub.hostname (line 6, column 21): ",
            "devices[0].tags[0].source (line 8, column 9): is missing: add it",
            "devices[0].tags[0].scanInterval (line 8, column 49): 5ms is not allowed here: use 10ms to 99999990ms (27.7 hours)",
            "devices[0].tags[1].source (line 9, column 27): there is no source \"sim\": add it to the device's sources",
            "devices[0].tags[1].publish (line 9, column 53): \"Never\" is not allowed here: use OnChange or EveryScan",
            "devices[0].telemetry.interval (line 10, column 27): \"banana\" is not a length of time",
            "devices[0].telemetry.maxEvents (line 10, column 46): integer -5 is not allowed here: use a whole number from 0",
            "devices[0].telemetry.qos (line 10, column 55): 2 is not allowed here: a hub takes 0 or 1",
            "devices[0].sources (line 11, column 14): map is not allowed here: use a list",
        ];
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said}\n{expected}");
            assert!(!said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn an_error_of_syntax_names_the_field_it_is_in() {
        for (text, expected) in [
            (
                format!("{SMALL}    tags: ["),
                "devices[0] (line 10, column 5): \"tags\" stands twice: keep one",
            ),
            (format!("{SMALL}  bad: ["), "devices"),
            (SMALL.replace("500ms}", "500ms"), "devices[0].telemetry"),
            ("".to_owned(), "the document"),
            ("- a".to_owned(), "the document (line 1, column 1): use fields with values, such as"),
            ("devices: []".to_owned(), "version (line 1, column 1): is missing: add it"),
            (format!("{SMALL}---\nversion: 1\n"), "the document (line 11, column 1): a second document"),
            (
                "version: x".to_owned(),
                "version (line 1, column 10): string \"x\" is not allowed here: use a whole number",
            ),
        ] {
            let error = AgentConfig::parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}\n{error}\n{expected}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
