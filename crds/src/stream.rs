//! What an agent reads and how it sends it: sources, tags and telemetry. Pure.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A length of time: whole numbers, each with `ms`, `s`, `m` or `h`, such as `500ms`, `10s` or `1h30m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interval(pub String);

/// Shortest and longest time between two reads or two messages, as IoT gateways of the field have it.
const RANGE: (&str, &str) = ("10ms", "99999990ms");

impl JsonSchema for Interval {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interval".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let (shortest, longest) = RANGE;
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [{
                // No more than eight digits: what follows must not overflow.
                "rule": format!("self.matches('^([0-9]{{1,8}}(ms|s|m|h)){{1,4}}$') && duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')"),
                "message": format!("use a length of time from {shortest} to {longest} (27.7 hours), such as 500ms, 10s or 1h30m")
            }]
        })
    }
}

/// A place where tags are read: exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.simulator)",
    "message": "set the kind of source: simulator: {}"
}]))]
pub struct Source {
    /// Tags refer to the source by this name, unique in the device.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Functions (RAMP, RANDOM, SINE, USER) and registers of a simulated controller. It takes no settings: `simulator: {}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulator: Option<Simulator>,
}

/// The simulator takes no settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Simulator {}

/// One named value of the field device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// Unique in the device; the `id` of the tag's events at the hub, such as `Channel1.Device1.Ramp`.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Name of the source that reads it.
    #[schemars(length(min = 1, max = 63))]
    pub source: String,
    /// What the source calls it: for a simulator a function such as `RAMP(1000, 0, 100, 1)`, or a register such as `K0001`.
    #[schemars(length(min = 1, max = 1024))]
    pub address: String,
    /// Time between two reads, 10ms to 99999990ms; 1s unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_interval: Option<Interval>,
    /// Which reads become events: `OnChange`, those that differ from the last one in value or quality (the default), or `EveryScan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
}

/// Which reads become events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Publish {
    /// Those whose value or quality differs from the last one.
    OnChange,
    /// Every one.
    EveryScan,
}

/// How events become messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.maxEvents) || !has(self.format) || self.format == 'Narrow'",
    "message": "maxEvents belongs to format Narrow: a Wide message has every tag once"
}]))]
pub struct Telemetry {
    /// The shape of a message: `Narrow`, the events since the last message (the default), or `Wide`, every tag once with its current value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Time between two messages, 10ms to 99999990ms; 10s unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Most events in one message, with format `Narrow` only; more become further messages at once. 1000 unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_events: Option<u32>,
    /// MQTT quality of service. 1 (the default): an event is kept until the hub acknowledges it. 0: it counts as delivered when it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub qos: Option<u8>,
    /// How long the hub may take to acknowledge a message before the connection is made anew; 5s unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Interval>,
    /// Properties of every message, for routing at the hub: at most 32, together at most 4096 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "message_properties")]
    pub properties: Option<BTreeMap<String, String>>,
    /// Content type of the messages (system property `$.ct`); `application/json` unless it is set. Hubs route on bodies only with that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub content_type: Option<String>,
    /// Content encoding of the messages (system property `$.ce`); `utf-8` unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub content_encoding: Option<String>,
}

/// The shape of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Format {
    /// The events since the last message, a tag possibly many times.
    Narrow,
    /// Every tag once, with its current value.
    Wide,
}

/// Percent-encoded they must fit into an MQTT topic of 65,535 bytes, twelve bytes a character at the worst.
fn message_properties(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 1024},
        "maxProperties": 32,
        "x-kubernetes-validations": [
            {
                "rule": "self.all(name, size(name) >= 1 && size(name) <= 128 && !name.startsWith('$'))",
                "message": "a property's name has 1 to 128 characters and does not start with '$' (for $.ct and $.ce set contentType and contentEncoding)"
            },
            {
                "rule": "self.map(name, size(name) + size(self[name])).sum() <= 4096",
                "message": "names and values of the properties must not exceed 4096 characters together"
            }
        ]
    })
}
