//! Parser of the configuration document: reports all problems at once. Pure.

use serde::Deserialize;
use serde_json::{Value, json};

use lanyard_protocol::document::problem::{Problem, count, list, located};
use lanyard_protocol::document::read::{self, DocumentError};
use lanyard_protocol::document::substitute::Disclosure;

use crate::config::{AgentConfig, VERSION};

/// Error of a configuration document.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The document is for a newer agent.
    #[error(
        "configuration version {found} is newer than this agent understands ({VERSION}): use an agent as new as \
        the operator that wrote it"
    )]
    Newer {
        /// The document's version.
        found: u32,
    },
    /// Version 0, which does not exist.
    #[error("configuration version {found} does not exist: use version: {VERSION}")]
    UnknownVersion {
        /// The document's version.
        found: u32,
    },
    /// All problems of the document, with field, line and column.
    #[error("the configuration has {}: {}", count(.0), list(.0))]
    Invalid(Vec<Problem>),
}

impl AgentConfig {
    /// Reads a document in YAML or JSON.
    ///
    /// # Errors
    /// [`ConfigError`]: the version, the position of a syntax error, or all problems.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        // The version comes first: the error of a newer document names the version, not the first unknown field.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        match serde_saphyr::from_str::<Versioned>(text).map(|document| document.version) {
            Ok(found) if found > VERSION => return Err(ConfigError::Newer { found }),
            Ok(found) if found < VERSION => return Err(ConfigError::UnknownVersion { found }),
            _ => {}
        }
        let problems = match read::read::<Self>(text, substitute, Disclosure::Repeated) {
            Ok(mut config) => match config.problems() {
                problems if problems.is_empty() => {
                    // The agent stores the document as long as it runs.
                    for device in &mut config.devices {
                        device.sources.shrink_to_fit();
                        device.tags.shrink_to_fit();
                    }
                    return Ok(config);
                }
                problems => problems,
            },
            Err(DocumentError { mut problems, corrected }) => {
                let mut more = corrected.map(|config| config.problems()).unwrap_or_default();
                more.retain(|more| !problems.iter().any(|found| found.covers(&more.field)));
                problems.extend(more);
                problems
            }
        };
        Err(ConfigError::Invalid(located(problems, text)))
    }
}

/// Returns a valid value for a required field.
fn substitute(field: &str, number: usize) -> Option<Value> {
    match field {
        "version" => Some(json!(VERSION)),
        "name" | "deviceId" | "source" => Some(json!(format!("substitute-{number}"))),
        "hostname" | "endpoint" => Some(json!("substitute")),
        "idScope" => Some(json!("0ne")),
        "address" => Some(json!("K0001")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Publish;
    use crate::interval::Interval;

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
    fn small_document_gets_the_defaults() {
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
    fn newer_version_is_named_in_the_error() {
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
    fn misspelled_field_is_reported_with_its_position() {
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

    #[test]
    fn problems_of_all_kinds_are_reported_at_once() {
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
        let messages: Vec<_> = problems.iter().map(Problem::to_string).collect();
        let expected = [
            "devices[0].deviceId (line 5, column 15): device id must not contain ' '",
            "devices[0].hub.hostname (line 6, column 21): ",
            "devices[0].tags[0].source (line 8, column 9): is missing: add it",
            "devices[0].tags[0].scanInterval (line 8, column 49): 5ms is not allowed here: use 10ms to 99999990ms (27.7 hours)",
            "devices[0].tags[1].source (line 9, column 27): there is no source \"sim\": add it to the device's sources",
            "devices[0].tags[1].publish (line 9, column 53): \"Never\" is not allowed here: use OnChange or EveryScan",
            "devices[0].telemetry.interval (line 10, column 27): \"banana\" is not a duration",
            "devices[0].telemetry.maxEvents (line 10, column 46): integer -5 is not allowed here: use a whole number from 0",
            "devices[0].telemetry.qos (line 10, column 55): 2 is not allowed here: a hub takes 0 or 1",
            "devices[0].sources (line 11, column 14): map is not allowed here: use a list",
        ];
        assert_eq!(messages.len(), expected.len(), "{messages:#?}");
        for (message, expected) in messages.iter().zip(expected) {
            assert!(message.starts_with(expected), "{message}\n{expected}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn invalid_required_fields_hide_no_other_problem() {
        let text = "{version: x, devices: [{name: a, deviceId: d, dps: {endpoint: e, idScope: '?'},
            sources: [{name: s, simulator: {}}], tags: [{name: T, source: s}], telemetry: {qos: 2}}]}";
        let Err(ConfigError::Invalid(problems)) = AgentConfig::parse(text) else { unreachable!() };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(
            fields,
            ["version", "devices[0].dps.idScope", "devices[0].tags[0].address", "devices[0].telemetry.qos"]
        );
    }

    #[test]
    fn syntax_error_names_its_field() {
        for (text, expected) in [
            (
                format!("{SMALL}    tags: ["),
                "devices[0] (line 10, column 5): \"tags\" occurs twice: keep one",
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
