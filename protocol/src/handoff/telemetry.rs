//! How events become messages, and the message that the hub sends when the device is gone. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::interval::Interval;
use super::tag::Tag;
use crate::hub::property_bag::{CONTENT_ENCODING, CONTENT_TYPE, PropertyBag};
use crate::payload::mistake::TemplateError;
use crate::payload::template::Template;

/// How events become messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Telemetry {
    /// Which events are in a message.
    pub format: Format,
    /// How they are written, if not as Kepware's gateway does without a template of the user's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Time between two messages.
    pub interval: Interval,
    /// Most events in one message, Narrow only; more become further messages at once.
    pub max_events: u32,
    /// Whether a tag's first read is an event: when the agent starts, and when the tag is new. A first read that fails always
    /// is.
    #[serde(skip_serializing_if = "InitialUpdate::is_enabled")]
    pub initial_update: InitialUpdate,
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

    /// Why the template does not give what `contentType` says, if so.
    #[must_use]
    pub fn template_mistake(&self) -> Option<TemplateError> {
        let kind = self.content_type.as_deref().unwrap_or_default();
        let is_json =
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        let most = if self.format == Format::Wide { u32::MAX } else { self.max_events };
        self.template.as_ref().filter(|_| is_json)?.json_mistake(most)
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            format: Format::default(),
            template: None,
            interval: Interval::from_secs(10),
            max_events: 1000,
            initial_update: InitialUpdate::Enabled,
            qos: 1,
            timeout: Interval::from_secs(5),
            properties: BTreeMap::new(),
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
        }
    }
}

/// Whether a tag's first read is an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InitialUpdate {
    /// It is.
    #[default]
    Enabled,
    /// It is only what the next reads are compared with.
    Disabled,
}

impl InitialUpdate {
    const fn is_enabled(&self) -> bool {
        matches!(self, Self::Enabled)
    }
}

/// Which events are in a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// The events since the last message, a tag possibly many times.
    #[default]
    Narrow,
    /// Every tag once, with its current value.
    Wide,
}

/// What the hub is to send in the device's name when the connection ends without a word (ref §1.7). The hub adds the property
/// `iothub-MessageType: Will`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastWill {
    /// The body.
    pub payload: String,
    /// Properties of the message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// System property `$.ct`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// System property `$.ce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
}

impl LastWill {
    /// Most bytes of a body: MQTT's own limit for wills.
    pub const MAX_BYTES: usize = 65_535;

    /// Its properties, as they stand in the topic.
    #[must_use]
    pub fn bag(&self) -> PropertyBag {
        let system = [(CONTENT_TYPE, &self.content_type), (CONTENT_ENCODING, &self.content_encoding)];
        let mut bag = PropertyBag::new();
        for (key, value) in system {
            if let Some(value) = value {
                bag.set(key, Some(value.clone()));
            }
        }
        for (key, value) in &self.properties {
            bag.set(key.as_str(), Some(value.clone()));
        }
        bag
    }
}
