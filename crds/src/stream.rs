//! What an agent reads and how it sends it: sources, tags, telemetry and last will. Pure.
//!
//! Why a device has one telemetry and not several profiles, and why a source has no properties of its own: both would need
//! several queues in one device. Messages are made of what follows one another in the buffer, so that order, books and
//! redelivery are those of one queue; tags of another profile between them would cut every message into pieces, each of
//! which a hub counts. Who wants two profiles has two IoTDevices with the tags of each, as the hub itself has it: one
//! identity, one stream.

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
    #[schemars(schema_with = "source_name")]
    pub name: String,
    /// Functions (RAMP, RANDOM, SINE, USER) and registers of a simulated controller. It takes no settings: `simulator: {}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulator: Option<Simulator>,
}

/// The simulator takes no settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Simulator {}

/// One named value of the field device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.publish) || self.publish != 'EveryScan' || (!has(self.deadband) && !has(self.maxSilence))",
    "message": "deadband and maxSilence belong to publish OnChange: with EveryScan every read is sent anyway"
}]))]
pub struct Tag {
    /// Unique in the device; the `id` of the tag's events at the hub, such as `Channel1.Device1.Ramp`.
    #[schemars(schema_with = "tag_name")]
    pub name: String,
    /// Name of the source that reads it.
    #[schemars(schema_with = "source_name")]
    pub source: String,
    /// What the source calls it: for a simulator a function, `RAMP(rate, low, high, increment)`, `RANDOM(rate, low, high)`,
    /// `SINE(rate, low, high, frequency, phase)` or `USER(rate, value, …)`, with a rate in milliseconds, such as
    /// `RAMP(1000, 0, 100, 1)`; or a register, `K0001` (constant), `R0001` (counts its reads), `S0001` (text) or `B0001`
    /// (boolean), of K and R also a bit, `K0100.00`, or an array, `K0440 [4]`.
    #[schemars(length(min = 1, max = 1024))]
    pub address: String,
    /// How the value is understood, if not as the source does by itself. For a simulator: `RAMP`, `RANDOM` and `SINE` with whole
    /// limits give a number without a fraction and others a `Float`, unless it is set; `USER` gives what all its values are; and
    /// a register is a `Word`, of which `Long`, `DWord`, `LBCD` and `Float` take two and `LLong`, `QWord` and `Double` four, the
    /// lowest first. A register that holds no decimal digits cannot be read as `BCD` or `LBCD`, and its quality is bad then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// Time between two reads, 10ms to 99999990ms; 1s unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_interval: Option<Interval>,
    /// Whether it is read and sent at all; `false` keeps a tag in the list without that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Which reads become events: `OnChange`, those that differ from the last one in value or quality (the default), or `EveryScan`.
    /// A failure to read is an event with quality `false` and the last value, once until it is over. With telemetry.format
    /// `Wide` every tag is sent at every interval, whatever stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
    /// How far a number must move from the value that was sent last to be sent again, with publish `OnChange`. Arrays are sent
    /// when one of their elements moves so far, and everything else at every change. A change of quality is always sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadband: Option<Deadband>,
    /// After so long without an event the next read is one, changed or not, with publish `OnChange`: a sign of life. 10ms to
    /// 99999990ms; for ever unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_silence: Option<Interval>,
}

/// A type of the field, by Kepware's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DataType {
    /// True or false.
    Boolean,
    /// 8 bits with sign.
    Char,
    /// 8 bits without sign.
    Byte,
    /// 16 bits with sign.
    Short,
    /// 16 bits without sign.
    Word,
    /// 32 bits with sign.
    Long,
    /// 32 bits without sign.
    DWord,
    /// 64 bits with sign.
    LLong,
    /// 64 bits without sign.
    QWord,
    /// 32 bits with a fraction.
    Float,
    /// 64 bits with a fraction.
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

/// How far a number must move: exactly one of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.absolute) != has(self.percent)",
    "message": "set exactly one of absolute and percent"
}]))]
pub struct Deadband {
    /// By more than this, such as `0.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub absolute: Option<f64>,
    /// By more than this many hundredths of the value that was sent last, such as `2`: from 100 that is more than 2, and from 0
    /// any change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub percent: Option<f64>,
}

/// Which reads become events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Publish {
    /// Those whose value or quality differs from the last one.
    OnChange,
    /// Every one.
    EveryScan,
}

fn source_name(_: &mut SchemaGenerator) -> Schema {
    printable(63)
}

fn tag_name(_: &mut SchemaGenerator) -> Schema {
    printable(256)
}

/// Names stand in logs, in metrics and in consumers' databases: a line break pasted with one would break them there.
fn printable(longest: u16) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": longest,
        "x-kubernetes-validations": [{
            "rule": "!self.matches('\\\\p{Cc}')",
            "message": "a name has no control characters: take the line break, tab or other invisible character out of it"
        }]
    })
}

/// How events become messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.maxEvents) || ((!has(self.format) || self.format != 'Wide') && (!has(self.template) || !has(self.template.events) || self.template.events != 'Wide'))",
        "message": "maxEvents belongs to format Narrow: a Wide message has every tag once"
    },
    {
        "rule": "has(self.template) == (has(self.format) && self.format == 'Template')",
        "message": "set template with format Template, and only with it"
    }
]))]
pub struct Telemetry {
    /// The shape of a message: `Narrow`, the events since the last message (the default), `Wide`, every tag once with its current
    /// value, or `Template`, as `template` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The body of a message, with format `Template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Time between two messages, 10ms to 99999990ms; 10s unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Most events in one message, not with `Wide`; more become further messages at once. 1000 unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_events: Option<u32>,
    /// Whether the first read of a tag is an event: `Enabled` (the default), once when the agent starts and when the tag is new, so
    /// that the cloud side knows every tag's value from the beginning; or `Disabled`, only what changes then. A first read that
    /// fails always is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_update: Option<InitialUpdate>,
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

/// Whether the first read of a tag is an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InitialUpdate {
    /// It is.
    Enabled,
    /// It is only what the next reads are compared with.
    Disabled,
}

/// What the hub is to send in the device's name when the connection ends without a word: the network, the node or the agent is
/// gone. An agent that ends in order takes it back. The hub adds the property `iothub-MessageType` with the value `Will`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastWill {
    /// The body of the message.
    #[schemars(length(max = 16000))]
    pub payload: String,
    /// Properties of the message, for routing at the hub: at most 32, together at most 4096 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "message_properties")]
    pub properties: Option<BTreeMap<String, String>>,
    /// Content type of the message (system property `$.ct`), such as `application/json`; none unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub content_type: Option<String>,
    /// Content encoding of the message (system property `$.ce`), such as `utf-8`; none unless it is set.
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
    /// As the template says.
    Template,
}

/// A message's body as users write it: a template of Kepware's IoT Gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.advanced) != has(self.standard)",
    "message": "set exactly one of advanced (the whole body) and standard (its fields, one a line)"
}]))]
pub struct Template {
    /// Which events are in a message: `Narrow`, those since the last message (the default), or `Wide`, every tag once with its
    /// current value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// The whole body. It is copied as it stands, blanks and line breaks included, but for what is between bars:
    ///
    /// `|SERVERTIMESTAMP|` and `|SERVERDATE|`: when the message is made, in milliseconds since 1970, or as text such as
    /// 2017-02-27T20:29:40.000Z.
    /// `|#each VALUES|` … `|/each|`: once for each event, and between them:
    /// `|TAGNAME|`: the tag's name, to be put in quotes. `|VALUE|`: the value as JSON, a text with its own quotes unless it stands
    /// in the template's. `|QUALITY|`: true or false. `|TIMESTAMP|` and `|DATE|`: when the tag was read. `|@index|`: from 0.
    /// `|#if X|` … `|else|` … `|/if|` and `|#unless X|` … `|/unless|`, where X is @first, @last or QUALITY: a comma between
    /// events is `|#unless @last|,|/unless|`.
    /// `||`: a bar itself.
    ///
    /// Events that do not fit into a hub's 256 KB become further messages. A body that would be no JSON is refused unless
    /// contentType says that it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub advanced: Option<String>,
    /// The body's fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard: Option<StandardTemplate>,
}

/// A message's body by its fields, one a line: `key: |VARIABLE|`, or `key: text`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StandardTemplate {
    /// Fields of the message, such as `timestamp: |SERVERTIMESTAMP|` and `values: |VALUES|`; one of them is `|VALUES|`, the list of
    /// events.
    #[schemars(length(min = 1, max = 4096))]
    pub message: String,
    /// Fields of each event in `|VALUES|`, such as `id: |TAGNAME|`, `v: |TAGVALUE|`, `q: |TAGQUALITY|` and `t: |TAGTIMESTAMP|`.
    #[schemars(length(min = 1, max = 4096))]
    pub values: String,
}

/// Which events are in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Events {
    /// Those since the last message, a tag possibly many times.
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
