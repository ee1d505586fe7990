//! Sources, tags, telemetry and last will. Pure.
//!
//! A device has one telemetry and not several profiles, and a source has no message properties, because both would
//! need several queues in one device. A message holds consecutive buffered events, so that order, accounting and
//! redelivery are those of one queue; events of another profile in between would split every message, and a hub
//! meters each part. Use two IoTDevices, each with its own tags, for two profiles: one identity has one stream, as at
//! the hub.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Duration: whole numbers, each with `ms`, `s`, `m` or `h`, such as `500ms`, `10s` or `1h30m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interval(pub String);

/// Shortest and longest time between two reads or two messages, as in other IoT gateways.
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
                "rule": format!("self.matches('^([0-9]{{1,8}}(ms|s|m|h)){{1,4}}$') && duration(self) >= \
                    duration('{shortest}') && duration(self) <= duration('{longest}')"),
                "message": format!("use a duration from {shortest} to {longest} (27.7 hours), such as 500ms, 10s or 1h30m")
            }]
        })
    }
}

/// Source of tags: exactly one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.simulator)",
    "message": "set the kind of source: simulator: {}"
}]))]
pub struct Source {
    /// Name of the source, unique in the device. Tags refer to it.
    #[schemars(schema_with = "source_name")]
    pub name: String,
    /// Simulator with functions (RAMP, RANDOM, SINE, USER) and registers. It has no fields: `simulator: {}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulator: Option<Simulator>,
}

/// Simulator. It has no fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Simulator {}

/// Tag: a named value of the field device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.publish) || self.publish != 'EveryScan' || (!has(self.deadband) && !has(self.maxSilence))",
    "message": "deadband and maxSilence belong to publish OnChange: EveryScan sends every reading"
}]))]
pub struct Tag {
    /// Name of the tag, unique in the device; the `id` of its events at the hub, such as `Channel1.Device1.Ramp`.
    #[schemars(schema_with = "tag_name")]
    pub name: String,
    /// Name of the tag's source.
    #[schemars(schema_with = "source_name")]
    pub source: String,
    /// Address of the tag in its source. In a simulator, the address is a function or a register. Functions:
    /// `RAMP(rate, low, high, increment)`, `RANDOM(rate, low, high)`, `SINE(rate, low, high, frequency, phase)` and
    /// `USER(rate, value, …)`, with the rate in milliseconds, such as `RAMP(1000, 0, 100, 1)`. Registers: `K0001`
    /// (constant), `R0001` (counts its reads), `S0001` (text) and `B0001` (boolean). `K0100.00` is bit 0 of `K0100`
    /// (K and R only). `K0440 [4]` is an array of four.
    #[schemars(length(min = 1, max = 1024))]
    pub address: String,
    /// Data type of the value. The default depends on the source. For a simulator, `RAMP`, `RANDOM` and `SINE` give
    /// integers if their limits are integers and `Float` otherwise; `USER` gives the common type of its values; a
    /// register is a `Word`. `Long`, `DWord`, `LBCD` and `Float` use two registers; `LLong`, `QWord` and `Double` use
    /// four. The first register has the lowest bits. If a register has a digit above 9 (hexadecimal A to F), it has no
    /// `BCD` or `LBCD` value, and the quality is bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// Time between two reads, 10ms to 99999990ms. The default is 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_interval: Option<Interval>,
    /// Reads and sends the tag. `false` keeps the tag in the list without reading it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Readings that become events: `OnChange` (the default) sends readings that differ from the last one in value or
    /// quality, `EveryScan` sends all. When a read fails, the agent sends one event with quality `false` and the last
    /// value, and no further event until the tag can be read again. With telemetry.format `Wide`, every message
    /// contains every tag, regardless of this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
    /// Minimum difference to the last sent value for a number to be sent again, with publish `OnChange`. An array is
    /// sent when the difference of one of its elements exceeds the deadband. A value that is not a number is sent at
    /// every change. A change of quality is always sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadband: Option<Deadband>,
    /// Longest time without an event, 10ms to 99999990ms: after that the next reading is an event, changed or not.
    /// Only with publish `OnChange`. By default there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_silence: Option<Interval>,
}

/// Data type, named as in Kepware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DataType {
    /// True or false.
    Boolean,
    /// 8-bit signed integer.
    Char,
    /// 8-bit unsigned integer.
    Byte,
    /// 16-bit signed integer.
    Short,
    /// 16-bit unsigned integer.
    Word,
    /// 32-bit signed integer.
    Long,
    /// 32-bit unsigned integer.
    DWord,
    /// 64-bit signed integer.
    LLong,
    /// 64-bit unsigned integer.
    QWord,
    /// 32-bit floating-point number.
    Float,
    /// 64-bit floating-point number.
    Double,
    /// Four decimal digits in 16 bits.
    #[serde(rename = "BCD")]
    Bcd,
    /// Eight decimal digits in 32 bits.
    #[serde(rename = "LBCD")]
    Lbcd,
    /// Text.
    String,
}

/// Minimum difference of a number: exactly one of the two fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.absolute) != has(self.percent)",
    "message": "set exactly one of absolute and percent"
}]))]
pub struct Deadband {
    /// Absolute difference that a number must exceed, such as `0.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub absolute: Option<f64>,
    /// Difference that a number must exceed, in percent of the last sent value, such as `2`: for 100, more than 2;
    /// for 0, any change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub percent: Option<f64>,
}

/// Readings that become events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Publish {
    /// Readings whose value or quality differs from the last one.
    OnChange,
    /// All readings.
    EveryScan,
}

fn source_name(_: &mut SchemaGenerator) -> Schema {
    printable(63)
}

fn tag_name(_: &mut SchemaGenerator) -> Schema {
    printable(256)
}

/// Returns the schema of a text without control characters. Names are used in logs, metrics and databases, where a
/// pasted line break would do harm.
fn printable(longest: u16) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": longest,
        "x-kubernetes-validations": [{
            "rule": "!self.matches('\\\\p{Cc}')",
            "message": "a name must not contain control characters: remove the line break, tab or other invisible character"
        }]
    })
}

/// Format and timing of messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.maxEvents) || ((!has(self.format) || self.format != 'Wide') && (!has(self.template) || \
            !has(self.template.events) || self.template.events != 'Wide'))",
        "message": "maxEvents belongs to format Narrow: a Wide message contains every tag once"
    },
    {
        "rule": "has(self.template) == (has(self.format) && self.format == 'Template')",
        "message": "set template with format Template, and only with it"
    }
]))]
pub struct Telemetry {
    /// Format of a message: `Narrow` (the default) contains the events since the last message, `Wide` the current
    /// value of every tag, `Template` the body of `template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Template of the body, with format `Template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<MessageTemplate>,
    /// Time between two messages, 10ms to 99999990ms. The default is 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Maximum number of events in a message, not with `Wide`; more events are sent in further messages immediately.
    /// The default is 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_events: Option<u32>,
    /// Event for the first reading of a tag: `Enabled` (the default) sends it once when the agent starts and when the
    /// tag is new, so that the cloud has the value of every tag from the start. `Disabled` sends later changes only.
    /// A first read that fails is always an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_update: Option<InitialUpdate>,
    /// MQTT quality of service. With 1 (the default) the agent keeps an event until the hub acknowledges it. With 0
    /// an event counts as delivered when it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub qos: Option<u8>,
    /// Time for the hub to acknowledge a message; after that the agent reconnects. The default is 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Interval>,
    /// Properties of every message, for routing at the hub: at most 32, together at most 4096 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "message_properties")]
    pub properties: Option<BTreeMap<String, String>>,
    /// Content type of the messages (system property `$.ct`). The default is `application/json`. Hubs route on
    /// message bodies only with that type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub content_type: Option<String>,
    /// Content encoding of the messages (system property `$.ce`). The default is `utf-8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub content_encoding: Option<String>,
}

/// Event for the first reading of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InitialUpdate {
    /// The first reading is an event.
    Enabled,
    /// The first reading is only compared with the next ones.
    Disabled,
}

/// Message that the hub sends on behalf of the device if the connection ends unexpectedly, because the network, the
/// node or the agent failed. An agent that shuts down normally cancels it. The hub adds the property
/// `iothub-MessageType` with the value `Will`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastWill {
    /// Body of the message.
    #[schemars(length(max = 16000))]
    pub payload: String,
    /// Properties of the message, for routing at the hub: at most 32, together at most 4096 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "message_properties")]
    pub properties: Option<BTreeMap<String, String>>,
    /// Content type of the message (system property `$.ct`), such as `application/json`. The default is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub content_type: Option<String>,
    /// Content encoding of the message (system property `$.ce`), such as `utf-8`. The default is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub content_encoding: Option<String>,
}

/// Format of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Format {
    /// Events since the last message; a tag can occur several times.
    Narrow,
    /// Current value of every tag.
    Wide,
    /// Body of the template.
    Template,
}

/// Template of a message's body, in the syntax of Kepware's IoT Gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.advanced) != has(self.standard)",
    "message": "set exactly one of advanced (the whole body) and standard (its fields, one a line)"
}]))]
pub struct MessageTemplate {
    /// Events in a message: `Narrow` (the default) for those since the last message, or `Wide` for the current value
    /// of every tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// Complete body. The agent copies it unchanged, including blanks and line breaks, and replaces these variables:
    ///
    /// `|SERVERTIMESTAMP|` and `|SERVERDATE|`: time of the message, in milliseconds since 1970, or as text such as
    /// 2017-02-27T20:29:40.000Z.
    /// `|#each VALUES|` … `|/each|`: repeats its content for each event. In it:
    /// `|TAGNAME|`: name of the tag, without quotes. `|VALUE|`: value as JSON. A text is written with quotes, unless the
    /// template has quotes around `|VALUE|`. `|QUALITY|`: true or false. `|TIMESTAMP|` and `|DATE|`: time of the reading. `|@index|`:
    /// number of the event, from 0.
    /// `|#if X|` … `|else|` … `|/if|` and `|#unless X|` … `|/unless|`, where X is @first, @last or QUALITY: a comma between
    /// events is `|#unless @last|,|/unless|`.
    /// `||`: a literal bar.
    ///
    /// Events that do not fit into a hub's 256 KB are sent in further messages. A template that does not produce JSON is
    /// refused unless contentType is another type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub advanced: Option<String>,
    /// Fields of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard: Option<StandardTemplate>,
}

/// Fields of a message's body, one in each line: `key: |VARIABLE|`, or `key: text`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StandardTemplate {
    /// Fields of the message, such as `timestamp: |SERVERTIMESTAMP|` and `values: |VALUES|`. One of them must be
    /// `|VALUES|`, the list of events.
    #[schemars(length(min = 1, max = 4096))]
    pub message: String,
    /// Fields of each event in `|VALUES|`, such as `id: |TAGNAME|`, `v: |TAGVALUE|`, `q: |TAGQUALITY|` and `t: |TAGTIMESTAMP|`.
    #[schemars(length(min = 1, max = 4096))]
    pub values: String,
}

/// Events in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Events {
    /// Events since the last message; a tag can occur several times.
    Narrow,
    /// Current value of every tag.
    Wide,
}

/// Returns the schema of message properties. Percent-encoded, they must fit into an MQTT topic of 65,535 bytes, with up
/// to twelve bytes for a character.
fn message_properties(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 1024},
        "maxProperties": 32,
        "x-kubernetes-validations": [
            {
                "rule": "self.all(name, size(name) >= 1 && size(name) <= 128 && !name.startsWith('$'))",
                "message": "a property's name has 1 to 128 characters and does not start with '$' (for $.ct and \
                    $.ce set contentType and contentEncoding)"
            },
            {
                "rule": "self.map(name, size(name) + size(self[name])).sum() <= 4096",
                "message": "names and values of the properties must not exceed 4096 characters together"
            }
        ]
    })
}
