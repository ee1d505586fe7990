//! What the types of a configuration document cannot refuse: every mistake at once, with its place and its fix. Pure.

use std::collections::HashSet;

use super::config::{AgentConfig, Device, Dps, Tag, Telemetry};
use crate::hub::id::RegistrationId;
use crate::hub::property_bag::MESSAGE_ID;
use crate::hub::topic::telemetry as telemetry_topic;

/// MQTT's own limit is 65535 bytes (ref §4.1); the rest is for the system properties.
const LONGEST_TOPIC: usize = 64_000;

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

pub(super) fn count(problems: &[Problem]) -> String {
    if problems.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", problems.len()) }
}

pub(super) fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

impl AgentConfig {
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
            let mut report = |path: &str, message: String| {
                found.push(Problem { field: format!("{field}.{path}"), message });
            };
            device.mistakes(&mut report);
            device.tag_mistakes(&mut report);
            device.telemetry_mistakes(&mut report);
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

    fn mistakes(&self, report: &mut impl FnMut(&str, String)) {
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
    }

    fn tag_mistakes(&self, report: &mut impl FnMut(&str, String)) {
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
    }

    fn telemetry_mistakes(&self, report: &mut impl FnMut(&str, String)) {
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
    use super::super::config::ConfigError;
    use super::*;

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
}
