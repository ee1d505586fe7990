//! One message: which events it carries, and its body, properties and id. Pure.

use std::sync::Arc;

use bytes::Bytes;
use lanyard_protocol::handoff::config::{Format, Telemetry};
use lanyard_protocol::hub::property_bag::{CONTENT_ENCODING, CONTENT_TYPE, MESSAGE_ID, PropertyBag};

use super::{json, narrow, wide};
use crate::buffer::storage::Buffer;

/// The most a hub takes: body, values of system properties, names and values of the others (ref §4.5).
pub const MAX_MESSAGE_BYTES: usize = 262_144;

/// A message, ready to be sent, and sent again with the same id if need be.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its place in the order of the device's messages.
    pub number: u64,
    /// Properties, the id among them.
    pub properties: PropertyBag,
    /// The JSON.
    pub body: Bytes,
    /// How many events it carries.
    pub events: usize,
}

impl Message {
    /// What the hub counts against its limit.
    #[must_use]
    pub fn counted_bytes(&self) -> usize {
        self.body.len() + properties_bytes(&self.properties)
    }
}

/// What a message would carry.
#[derive(Debug)]
pub(super) enum Filled {
    /// Nothing is there to be sent.
    Nothing,
    /// The oldest unread event, of the tag named, fits into no message.
    TooLarge { tag: Arc<str>, bytes: usize },
    /// A message with the oldest unread events.
    Message(Message),
}

/// Fills a message with the oldest unread events; they are not taken yet.
pub(super) fn fill(
    buffer: &dyn Buffer,
    telemetry: &Telemetry,
    id: &str,
    number: u64,
    timestamp: i64,
) -> Filled {
    let properties = properties(telemetry, id);
    let room = MAX_MESSAGE_BYTES.saturating_sub(properties_bytes(&properties) + json::CLOSE.len());
    let mut body = Vec::new();
    json::open(&mut body, timestamp);
    let mut events = 0;
    while let Some(unread) = buffer.unread(events) {
        let belongs = match telemetry.format {
            Format::Narrow => narrow::takes(events, telemetry.max_events),
            Format::Wide => wide::takes(events, unread.continues),
        };
        if !belongs {
            break;
        }
        let before = body.len();
        if events > 0 {
            body.push(b',');
        }
        json::event(&mut body, unread.event);
        if body.len() > room {
            if events == 0 {
                return Filled::TooLarge { tag: Arc::clone(&unread.event.tag), bytes: body.len() };
            }
            body.truncate(before);
            break;
        }
        events += 1;
    }
    if events == 0 {
        return Filled::Nothing;
    }
    body.extend_from_slice(json::CLOSE);
    Filled::Message(Message { number, properties, body: Bytes::from(body), events })
}

fn properties(telemetry: &Telemetry, id: &str) -> PropertyBag {
    let mut bag = PropertyBag::new();
    bag.set(MESSAGE_ID, Some(id.to_owned()));
    let system = [(CONTENT_TYPE, &telemetry.content_type), (CONTENT_ENCODING, &telemetry.content_encoding)];
    for (key, value) in system {
        if let Some(value) = value {
            bag.set(key, Some(value.clone()));
        }
    }
    for (key, value) in &telemetry.properties {
        bag.set(key.as_str(), Some(value.clone()));
    }
    bag
}

fn properties_bytes(bag: &PropertyBag) -> usize {
    let counted = |(key, value): (&str, Option<&str>)| {
        let name = if key.starts_with("$.") { 0 } else { key.len() };
        name + value.map_or(0, str::len)
    };
    bag.iter().map(counted).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::memory::MemoryBuffer;
    use crate::tags::event::{Event, Value};
    use crate::tags::sampling::Record;

    fn event(tag: &str, value: Value, time: i64) -> Event {
        Event { tag: Arc::from(tag), value, good: true, time }
    }

    fn buffer(events: Vec<Event>, whole: bool) -> MemoryBuffer {
        let mut buffer = MemoryBuffer::new(64 << 20);
        buffer.append(Record { events, whole });
        buffer
    }

    fn message(buffer: &MemoryBuffer, telemetry: &Telemetry) -> Message {
        match fill(buffer, telemetry, "m-1", 1, 1_488_227_380_000) {
            Filled::Message(message) => message,
            other => unreachable!("{other:?}"),
        }
    }

    /// The reference's own example.
    #[test]
    fn narrow_is_written_as_kepware_does() {
        let buffer = buffer(
            vec![
                event("Channel1.Device1.R1", Value::Integer(4084), 1_488_227_377_340),
                event("Channel1.Device1.R1", Value::Integer(4085), 1_488_227_378_361),
                event("Channel1.Device1.R1", Value::Integer(4086), 1_488_227_379_371),
            ],
            false,
        );
        let message = message(&buffer, &Telemetry::default());
        assert_eq!(
            message.body,
            concat!(
                r#"{"timestamp":1488227380000,"values":["#,
                r#"{"id":"Channel1.Device1.R1","v":4084,"q":true,"t":1488227377340},"#,
                r#"{"id":"Channel1.Device1.R1","v":4085,"q":true,"t":1488227378361},"#,
                r#"{"id":"Channel1.Device1.R1","v":4086,"q":true,"t":1488227379371}]}"#
            )
        );
        assert_eq!(message.properties.to_string(), "%24.mid=m-1&%24.ct=application%2Fjson&%24.ce=utf-8");
    }

    /// The reference's own example.
    #[test]
    fn wide_is_written_as_kepware_does() {
        let mut buffer = buffer(
            vec![
                event("Channel1.Device1.R1", Value::Integer(4086), 1_488_227_379_371),
                event("Channel1.Device1.Tag2", Value::Boolean(false), 1_488_227_379_371),
            ],
            true,
        );
        buffer.append(Record {
            events: vec![event("Channel1.Device1.R1", Value::Integer(4087), 1)],
            whole: true,
        });
        let telemetry = Telemetry { format: Format::Wide, max_events: 1, ..Telemetry::default() };
        assert_eq!(
            message(&buffer, &telemetry).body,
            concat!(
                r#"{"timestamp":1488227380000,"values":["#,
                r#"{"id":"Channel1.Device1.R1","v":4086,"q":true,"t":1488227379371},"#,
                r#"{"id":"Channel1.Device1.Tag2","v":false,"q":true,"t":1488227379371}]}"#
            )
        );
    }

    #[test]
    fn properties_ride_along_and_are_counted_as_the_hub_counts() {
        let buffer = buffer(vec![event("T", Value::Null, 1)], false);
        let properties = [("location".to_owned(), "ab/cd".to_owned())].into();
        let telemetry = Telemetry { properties, content_type: None, ..Telemetry::default() };
        let message = message(&buffer, &telemetry);
        assert_eq!(message.properties.to_string(), "%24.mid=m-1&%24.ce=utf-8&location=ab%2Fcd");
        assert_eq!(
            message.counted_bytes() - message.body.len(),
            "m-1".len() + "utf-8".len() + "location".len() + "ab/cd".len()
        );
    }

    #[test]
    fn max_events_and_the_hubs_limit_cut_messages() {
        let telemetry = Telemetry { max_events: 2, ..Telemetry::default() };
        let three = buffer((0..3).map(|n| event("T", Value::Integer(n), n)).collect(), false);
        assert_eq!(message(&three, &telemetry).events, 2);

        let text = Value::Text(Arc::from("x".repeat(100_000)));
        let large = buffer((0..3).map(|n| event("T", text.clone(), n)).collect(), false);
        let message = message(&large, &Telemetry::default());
        assert_eq!(message.events, 2);
        assert!(message.counted_bytes() <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn the_largest_event_that_fits_is_sent_and_one_byte_more_is_not() {
        let telemetry = Telemetry::default();
        let around = message(&buffer(vec![event("T", Value::Text(Arc::from("")), 1)], false), &telemetry)
            .counted_bytes();
        let of =
            |length: usize| buffer(vec![event("T", Value::Text(Arc::from("x".repeat(length))), 1)], false);
        let fits = message(&of(MAX_MESSAGE_BYTES - around), &telemetry);
        assert_eq!(fits.counted_bytes(), MAX_MESSAGE_BYTES);
        let over = of(MAX_MESSAGE_BYTES - around + 1);
        assert!(
            matches!(fill(&over, &telemetry, "m-1", 1, 1_488_227_380_000), Filled::TooLarge { tag, .. } if &*tag == "T")
        );
    }
}
