//! Processing of a device's message: validation, size, properties (ref §1.6, §1.7, §4). Pure.

use bytes::Bytes;
use lanyard_protocol::hub::id::{DEVICE_ID_PUNCTUATION, MAX_LENGTH};
use lanyard_protocol::hub::property_bag::{MESSAGE_ID, PropertyBag};

use crate::mqtt::frame::MAX_BODY;

/// The property the hub adds to a message with the retain flag (ref §1.6).
pub const RETAIN: &str = "mqtt-retain";
/// The property that marks a last will (ref §1.7).
pub const MESSAGE_TYPE: &str = "iothub-MessageType";

/// Reason for closing the connection after a message (ref §1.11).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TelemetryError {
    /// Ref §4.5.
    #[error("the message counts {bytes} bytes, the limit is {MAX_BODY}")]
    TooLarge {
        /// Body, values of system properties, names and values of application properties.
        bytes: usize,
    },
    /// Ref §4.3.
    #[error("the message id has a character that no message id has, or more than {MAX_LENGTH} of them")]
    MessageId,
}

/// Transport properties of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// With the retain flag.
    pub retain: bool,
    /// As a last will.
    pub will: bool,
}

/// A message the hub takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The device's properties and the ones the hub adds to them.
    pub properties: PropertyBag,
    /// Opaque to the hub (ref §4.4).
    pub body: Bytes,
}

/// Checks a message and adds what its manner asks for.
///
/// # Errors
/// [`TelemetryError`]: the hub closes the connection.
pub fn accept(mut properties: PropertyBag, body: Bytes, manner: Manner) -> Result<Message, TelemetryError> {
    let bytes = size(&properties, &body);
    if bytes > MAX_BODY {
        return Err(TelemetryError::TooLarge { bytes });
    }
    if properties.get(MESSAGE_ID).flatten().is_some_and(|id| !is_message_id(id)) {
        return Err(TelemetryError::MessageId);
    }
    if manner.retain {
        properties.set(RETAIN, Some("true".to_owned()));
    }
    if manner.will {
        properties.set(MESSAGE_TYPE, Some("Will".to_owned()));
    }
    Ok(Message { properties, body })
}

/// Returns the size in bytes of body, values of system properties, names and values of application properties
/// (ref §4.5).
fn size(properties: &PropertyBag, body: &[u8]) -> usize {
    let property = |(key, value): (&str, Option<&str>)| {
        let name = if is_system(key) { 0 } else { key.len() };
        name + value.map_or(0, str::len)
    };
    body.len() + properties.iter().map(property).sum::<usize>()
}

/// Returns whether a property is a system property, which starts with `$.` (ref §4.3).
#[must_use]
pub fn is_system(key: &str) -> bool {
    key.starts_with("$.")
}

fn is_message_id(id: &str) -> bool {
    id.len() <= MAX_LENGTH
        && id.chars().all(|c| c.is_ascii_alphanumeric() || DEVICE_ID_PUNCTUATION.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bag: &str, body: usize, manner: Manner) -> Result<Message, TelemetryError> {
        accept(PropertyBag::parse(bag).unwrap(), Bytes::from(vec![0; body]), manner)
    }

    /// Ref §4.5.
    #[test]
    fn names_of_system_properties_do_not_count() {
        let plain = Manner::default();
        assert!(take("", 262_144, plain).is_ok());
        assert_eq!(take("", 262_145, plain), Err(TelemetryError::TooLarge { bytes: 262_145 }));
        assert!(take("%24.mid=ab", 262_142, plain).is_ok());
        assert!(take("%24.mid=ab", 262_143, plain).is_err());
        assert!(take("name=ab", 262_138, plain).is_ok());
        assert!(take("name=ab", 262_139, plain).is_err());
        assert!(take("name=%20%20", 262_138, plain).is_ok(), "decoded characters count");
    }

    /// Ref §1.6.
    #[test]
    fn retain_becomes_a_property() {
        let message = take("a=1", 0, Manner { retain: true, will: false }).unwrap();
        assert_eq!(message.properties.to_string(), "a=1&mqtt-retain=true");
    }

    /// Ref §1.7.
    #[test]
    fn a_will_is_marked() {
        let message = take("a=1", 0, Manner { retain: false, will: true }).unwrap();
        assert_eq!(message.properties.to_string(), "a=1&iothub-MessageType=Will");
    }

    /// Ref §4.3.
    #[test]
    fn message_ids_have_a_grammar() {
        let plain = Manner::default();
        for good in ["m-1", "a-:.%2B%25_%23*?!(),=@;$'z", ""] {
            assert!(take(&format!("$.mid={good}"), 0, plain).is_ok(), "{good}");
        }
        for bad in ["a%20b", "%C3%A4", "a%2Fb", &"x".repeat(129)] {
            assert_eq!(take(&format!("$.mid={bad}"), 0, plain), Err(TelemetryError::MessageId), "{bad}");
        }
        assert!(take("$.mid", 0, plain).is_ok());
    }
}
