//! Format and timing of messages, and the last will. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::interval::Interval;
use super::tag::Tag;
use crate::templates::problem::TemplateError;
use crate::templates::template::Template;
use lanyard_protocol::hub::property_bag::{CONTENT_ENCODING, CONTENT_TYPE, PropertyBag};

/// Format and timing of messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Telemetry {
    /// Events in a message.
    pub format: Format,
    /// Template of the body; the default is the format of Kepware's gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Time between two messages.
    pub interval: Interval,
    /// Maximum number of events in a message, not with `Wide`; more events are sent in further messages immediately.
    pub max_events: u32,
    /// Sends an event for a tag's first reading: when the agent starts, and when the tag is new. A first read that
    /// fails is always an event.
    #[serde(skip_serializing_if = "InitialUpdate::is_enabled")]
    pub initial_update: InitialUpdate,
    /// MQTT quality of service: 0 or 1. With 0 an event counts as acknowledged when it is written to the connection.
    pub qos: u8,
    /// Time for the hub to acknowledge a message; after that the agent reconnects.
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

    /// Returns the error of a template that does not produce the format of `contentType`.
    #[must_use]
    pub fn template_error(&self) -> Option<TemplateError> {
        let kind = self.content_type.as_deref().unwrap_or_default();
        let is_json =
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        let most = if self.format == Format::Wide { u32::MAX } else { self.max_events };
        self.template.as_ref().filter(|_| is_json)?.json_error(most)
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

/// Event for the first reading of a tag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InitialUpdate {
    /// The first reading is an event.
    #[default]
    Enabled,
    /// The first reading is only compared with the next ones.
    Disabled,
}

impl InitialUpdate {
    const fn is_enabled(&self) -> bool {
        matches!(self, Self::Enabled)
    }
}

/// Events in a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Events since the last message; a tag can occur several times.
    #[default]
    Narrow,
    /// Current value of every tag.
    Wide,
}

/// Message that the hub sends on behalf of the device if the connection ends unexpectedly (ref §1.7). The hub adds
/// the property `iothub-MessageType: Will`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastWill {
    /// Body of the message.
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
    /// Maximum size of a body, in bytes: MQTT's limit for wills.
    pub const MAX_BYTES: usize = 65_535;

    /// Returns the properties for the topic.
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
