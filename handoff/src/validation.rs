//! Validation of a configuration document beyond its types: finds every problem, with its position and its fix. Pure.

use std::collections::HashSet;

use crate::buffer::Buffer;
use crate::config::{AgentConfig, Deadband, Device, Dps, LastWill, Publish, Tag, Telemetry};
use crate::interval::Interval;
use lanyard_protocol::document::problem::Problem;
use lanyard_protocol::hub::id::RegistrationId;
use lanyard_protocol::hub::property_bag::MESSAGE_ID;
use lanyard_protocol::hub::topic::telemetry as telemetry_topic;

/// Longest topic, in bytes. MQTT's limit is 65535 (ref §4.1); the rest is for the system properties.
const LONGEST_TOPIC: usize = 64_000;

impl AgentConfig {
    /// Returns all problems that the types cannot refuse.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.devices.is_empty() {
            let message = "is empty: name at least one device, such as {name: press-17, deviceId: press-17, hub: {hostname: …}}";
            found.push(Problem::new("devices", message));
        }
        let mut names = HashSet::new();
        for (position, device) in self.devices.iter().enumerate() {
            let field = format!("devices[{position}]");
            if !names.insert(device.name.as_str()) {
                let message = format!("{:?} occurs twice; give every device a unique name", device.name);
                found.push(Problem::new(format!("{field}.name"), message));
            }
            let mut report = |path: &str, message: String| {
                found.push(Problem::new(format!("{field}.{path}"), message));
            };
            device.check(&mut report);
            device.check_tags(&mut report);
            device.check_telemetry(&mut report);
            device.check_last_will(&mut report);
            if let Some(other) = self.devices.iter().take(position).find(|other| other.is_same_client(device))
            {
                let message = format!(
                    "{:?} and {:?} are one identity, which can have only one connection; remove one of them",
                    other.name, device.name
                );
                found.push(Problem::new(format!("{field}.deviceId"), message));
            }
        }
        found
    }
}

impl Tag {
    fn event_problems(&self, report: &mut dyn FnMut(&str, String)) {
        if let Some(Deadband { absolute, percent }) = self.deadband {
            if absolute.is_some() == percent.is_some() {
                report("deadband", "set exactly one of absolute and percent".to_owned());
            }
            for (field, width) in [("absolute", absolute), ("percent", percent)] {
                if let Some(width) = width.filter(|width| !width.is_finite() || *width < 0.0) {
                    let message = format!("{width} is not allowed here: use a number from 0");
                    report(&format!("deadband.{field}"), message);
                }
            }
        }
        if let Some(silence) = self.max_silence.filter(|silence| !Self::SCAN_INTERVALS.contains(silence)) {
            report("maxSilence", out_of_range(silence));
        }
        if self.publish == Publish::EveryScan {
            for (field, set) in
                [("deadband", self.deadband.is_some()), ("maxSilence", self.max_silence.is_some())]
            {
                if set {
                    report(
                        field,
                        "it belongs to publish OnChange: EveryScan sends every reading; remove it".to_owned(),
                    );
                }
            }
        }
    }
}

impl Device {
    /// Returns whether both have the same identity. A hub or DPS keeps only one of them connected.
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

    fn check(&self, report: &mut impl FnMut(&str, String)) {
        let is_folder = !self.name.is_empty()
            && self.name != "."
            && self.name != ".."
            && !self.name.contains(['/', '\\', '\0']);
        if !is_folder {
            report("name", format!("{:?} cannot be a folder's name: use one without '/'", self.name));
        }
        if has_invisible(&self.name) {
            report("name", INVISIBLE.to_owned());
        }
        match (&self.hub, &self.dps) {
            (Some(_), Some(_)) => report("dps", "set either hub or dps, not both".to_owned()),
            (None, None) => report("hub", "set hub or dps, to which the device connects".to_owned()),
            (None, Some(Dps { registration_id: None, .. })) => {
                if let Err(error) = RegistrationId::new(self.device_id.as_str()) {
                    report("deviceId", format!("DPS does not accept it: {error}"));
                }
            }
            _ => {}
        }
    }

    fn check_tags(&self, report: &mut impl FnMut(&str, String)) {
        let mut sources = HashSet::new();
        for (position, source) in self.sources.iter().enumerate() {
            if !sources.insert(source.name.as_str()) {
                let message = format!("{:?} occurs twice; give every source a unique name", source.name);
                report(&format!("sources[{position}].name"), message);
            }
            if has_invisible(&source.name) {
                report(&format!("sources[{position}].name"), INVISIBLE.to_owned());
            }
            if source.simulator.is_none() {
                report(&format!("sources[{position}]"), "set the kind of source: simulator: {}".to_owned());
            }
        }
        let mut tags = HashSet::new();
        for (position, tag) in self.tags.iter().enumerate() {
            let path = format!("tags[{position}]");
            if has_invisible(&tag.name) {
                report(&format!("{path}.name"), INVISIBLE.to_owned());
            }
            if tag.name.is_empty() {
                report(&format!("{path}.name"), "give the tag a name".to_owned());
            }
            if !tags.insert(tag.name.as_str()) {
                let message = format!("{:?} occurs twice; give every tag a unique name", tag.name);
                report(&format!("{path}.name"), message);
            }
            if !sources.contains(tag.source.as_str()) {
                let names = self.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>();
                let fix = match names.as_slice() {
                    [] => "add it to the device's sources".to_owned(),
                    names => format!("use one of the device's sources: {}", names.join(", ")),
                };
                report(&format!("{path}.source"), format!("there is no source {:?}: {fix}", tag.source));
            }
            if !Tag::SCAN_INTERVALS.contains(&tag.scan_interval) {
                report(&format!("{path}.scanInterval"), out_of_range(tag.scan_interval));
            }
            tag.event_problems(&mut |field, message| report(&format!("{path}.{field}"), message));
        }
    }

    fn check_telemetry(&self, report: &mut impl FnMut(&str, String)) {
        let telemetry = &self.telemetry;
        if !Telemetry::INTERVALS.contains(&telemetry.interval) {
            report("telemetry.interval", out_of_range(telemetry.interval));
        }
        if let Some(error) = telemetry.template_error() {
            report("telemetry.template", error.to_string());
        }
        if telemetry.max_events == 0 {
            report("telemetry.maxEvents", "0 is not allowed here: use 1 or more".to_owned());
        }
        if telemetry.qos > 1 {
            report("telemetry.qos", format!("{} is not allowed here: a hub takes 0 or 1", telemetry.qos));
        }
        if telemetry.timeout.get().is_zero() {
            report("telemetry.timeout", "0s is not allowed here: use more, such as 5s".to_owned());
        }
        if telemetry.properties.contains_key(MESSAGE_ID) {
            report("telemetry.properties", "the agent sets $.mid itself; remove it".to_owned());
        }
        let topic =
            telemetry_topic(self.device_id.as_str(), &telemetry.properties.clone().into_iter().collect());
        if topic.len() > LONGEST_TOPIC {
            let message =
                format!("they make an MQTT topic of {} bytes; use at most {LONGEST_TOPIC}", topic.len());
            report("telemetry.properties", message);
        }
        if telemetry.properties.keys().any(|key| key.is_empty()) {
            report("telemetry.properties", "a property needs a name".to_owned());
        }
        if self.buffer.capacity < Buffer::LEAST {
            let (found, least) = (self.buffer.capacity, Buffer::LEAST);
            report(
                "buffer.capacity",
                format!("{found} is not allowed here: use {least} or more, such as 256Mi"),
            );
        }
    }
}

impl Device {
    fn check_last_will(&self, report: &mut impl FnMut(&str, String)) {
        let Some(will) = &self.last_will else { return };
        if will.payload.len() > LastWill::MAX_BYTES {
            let message = format!("it has {} bytes; use {} or less", will.payload.len(), LastWill::MAX_BYTES);
            report("lastWill.payload", message);
        }
        if will.properties.keys().any(|key| key.is_empty()) {
            report("lastWill.properties", "a property needs a name".to_owned());
        }
        let topic = telemetry_topic(self.device_id.as_str(), &will.bag());
        if topic.len() > LONGEST_TOPIC {
            let message =
                format!("they make an MQTT topic of {} bytes; use at most {LONGEST_TOPIC}", topic.len());
            report("lastWill.properties", message);
        }
    }
}

/// Message for names with control characters, as in the custom resources.
const INVISIBLE: &str =
    "a name must not contain control characters: remove the line break, tab or other invisible character";

fn has_invisible(name: &str) -> bool {
    name.contains(char::is_control)
}

fn out_of_range(interval: Interval) -> String {
    format!("{interval} is not allowed here: use {}", Interval::RANGE_OF_READS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::ConfigError;

    #[test]
    fn duplicate_identity_is_refused() {
        let of = |name: &str, place: &str| format!("{{name: {name}, deviceId: dev, {place}}}");
        let problems = |a: &str, b: &str| {
            let text = format!("{{version: 1, devices: [{}, {}]}}", of("a", a), of("b", b));
            AgentConfig::parse(&text).err().map(|error| error.to_string())
        };
        let twice = problems("hub: {hostname: 'Hub.example:1'}", "hub: {hostname: hub.example}").unwrap();
        assert!(
            twice.contains("devices[1].deviceId (line 1, column 104): \"a\" and \"b\" are one identity"),
            "{twice}"
        );
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
    fn templates_are_refused_with_line_and_column() {
        let error_of = |telemetry: &str| {
            let text = format!(
                "{{version: 1, devices: [{{name: a, deviceId: d, hub: {{hostname: h}}, telemetry: {{{telemetry}}}}}]}}"
            );
            AgentConfig::parse(&text).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let unknown = error_of(r#"template: {advanced: "[\n|#each VALUES||TAGNAM||/each|]"}"#);
        assert!(
            unknown.contains(
                "devices[0].telemetry.template (line 1, column 89): advanced, line 2, column 15: \
                |TAGNAM| is not a variable: did you mean"
            ),
            "{unknown}"
        );
        let list = "template: {advanced: '|#each VALUES|{\"v\": |VALUE|}|/each|'}";
        assert!(error_of(list).contains("a message with 2 events is not JSON"), "{}", error_of(list));
        assert_eq!(error_of(&format!("{list}, maxEvents: 1")), "");
        assert_eq!(error_of(&format!("{list}, contentType: text/plain")), "");
    }

    #[test]
    fn empty_deadband_is_refused() {
        let text = "
version: 1
devices:
  - name: a
    deviceId: d
    hub: {hostname: h}
    sources: [{name: s, simulator: {}}]
    tags:
      - {name: A, source: s, address: K1, deadband: {}}
      - {name: B, source: s, address: K1, deadband: {absolute: 1, percent: 1}}
      - {name: C, source: s, address: K1, deadband: {absolute: -1}}
      - {name: D, source: s, address: K1, deadband: {percent: .nan}, maxSilence: 1ms}
      - {name: E, source: s, address: K1, deadband: {percent: 1}, maxSilence: 1m, publish: EveryScan}
      - {name: F, source: s, address: K1, deadband: {percent: 2.5}, maxSilence: 1m, enabled: false}
    lastWill: {payload: gone, properties: {'': x}}
";
        let Err(ConfigError::Invalid(problems)) = AgentConfig::parse(text) else { unreachable!() };
        let fields: Vec<_> =
            problems.iter().map(|problem| problem.field.trim_start_matches("devices[0].")).collect();
        assert_eq!(
            fields,
            [
                "tags[0].deadband",
                "tags[1].deadband",
                "tags[2].deadband.absolute",
                "tags[3].deadband.percent",
                "tags[3].maxSilence",
                "tags[4].deadband",
                "tags[4].maxSilence",
                "lastWill.properties",
            ],
            "{problems:#?}"
        );
    }

    /// Returns the fields with problems of a device with these settings.
    fn fields(settings: &str) -> Vec<String> {
        let text = format!("{{version: 1, devices: [{{name: a, {settings}}}]}}");
        match AgentConfig::parse(&text) {
            Ok(_) => Vec::new(),
            Err(ConfigError::Invalid(problems)) => {
                problems.into_iter().map(|problem| problem.field.replace("devices[0].", "")).collect()
            }
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn device_has_one_hub_or_dps_with_an_id_for_it() {
        let (hub, dps) = ("hub: {hostname: h}", "dps: {endpoint: e, idScope: 0ne1");
        assert_eq!(fields(&format!("deviceId: d, {hub}, {dps}}}")), ["dps"]);
        assert_eq!(fields(&format!("deviceId: 'a*', {hub}")), [""; 0]);
        assert_eq!(fields(&format!("deviceId: 'a*', {dps}}}")), ["deviceId"]);
        assert_eq!(fields(&format!("deviceId: 'a*', {dps}, registrationId: a}}")), [""; 0]);
    }

    #[test]
    fn limits_are_allowed_themselves() {
        let of = |setting: &str| fields(&format!("deviceId: d, hub: {{hostname: h}}, {setting}"));
        assert_eq!(of(&format!("buffer: {{capacity: {}}}", Buffer::LEAST)), [""; 0]);
        let tag = "{name: T, source: s, address: K1, deadband: {absolute: 0}}";
        assert_eq!(of(&format!("sources: [{{name: s, simulator: {{}}}}], tags: [{tag}]")), [""; 0]);
        let will = |bytes: usize| of(&format!("lastWill: {{payload: {}}}", "x".repeat(bytes)));
        assert_eq!(will(LastWill::MAX_BYTES), [""; 0]);
        assert_eq!(will(LastWill::MAX_BYTES + 1), ["lastWill.payload"]);
        let value = "x".repeat(LONGEST_TOPIC - "devices/d/messages/events/key=".len());
        for (field, settings) in
            [("telemetry.properties", "telemetry: {"), ("lastWill.properties", "lastWill: {payload: a, ")]
        {
            assert_eq!(of(&format!("{settings}properties: {{key: {value}}}}}")), [""; 0]);
            assert_eq!(of(&format!("{settings}properties: {{key: {value}x}}}}")), [field]);
        }
    }

    #[test]
    fn name_of_a_device_is_a_folders_name() {
        for (name, good) in [
            ("a b", true),
            ("''", false),
            (".", false),
            ("..", false),
            ("...", true),
            ("a/b", false),
            (r"a\b", false),
        ] {
            let text =
                format!("{{version: 1, devices: [{{name: {name}, deviceId: d, hub: {{hostname: h}}}}]}}");
            assert_eq!(AgentConfig::parse(&text).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn names_with_control_characters_are_refused() {
        let text = r#"{version: 1, devices: [{name: "a\tb", deviceId: d, hub: {hostname: h}, sources: [{name: "s\n", simulator: {}}],
            tags: [{name: "T\x7f", source: "s\n", address: K1}]}]}"#;
        let Err(ConfigError::Invalid(problems)) = AgentConfig::parse(text) else { unreachable!() };
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.message == INVISIBLE));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let text = "
version: 1
devices:
  - name: a/b
    deviceId: x
    tags:
      - {name: T, source: nowhere, address: K1, scanInterval: 1ms}
      - {name: T, source: nowhere, address: K2}
    telemetry: {qos: 2, maxEvents: 0}
    buffer: {capacity: 1Ki}
";
        let Err(ConfigError::Invalid(problems)) = AgentConfig::parse(text) else { unreachable!() };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "devices[0].hub",
                "devices[0].name",
                "devices[0].tags[0].source",
                "devices[0].tags[0].scanInterval",
                "devices[0].tags[1].name",
                "devices[0].tags[1].source",
                "devices[0].telemetry.qos",
                "devices[0].telemetry.maxEvents",
                "devices[0].buffer.capacity",
            ]
        );
    }
}
