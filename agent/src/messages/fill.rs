//! Fills a message: chooses its events, and writes its body and properties. Pure.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lanyard_handoff::config::{Format, Telemetry};
use lanyard_protocol::hub::property_bag::{CONTENT_ENCODING, CONTENT_TYPE, MESSAGE_ID, PropertyBag};

use crate::buffer::message::{MAX_MESSAGE_BYTES, Message, properties_bytes};
use crate::buffer::reader::Peeked;
use crate::buffer::store::Buffer;
use crate::buffer::window::Cursor;
use crate::messages::body::Body;

/// Result of filling a message.
#[derive(Debug)]
pub(super) enum Filled {
    /// No event to be sent before this cursor.
    Nothing(Cursor),
    /// The event before this cursor, of the tag named, fits into no message.
    TooLarge { tag: Arc<str>, bytes: usize, after: Cursor },
    /// A message with all unread events before this cursor; `markers` of its events report gaps.
    Message { message: Message, after: Cursor, markers: u64 },
}

/// Id and time of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heading<'a> {
    pub(super) id: &'a str,
    pub(super) number: u64,
    /// In milliseconds since 1970-01-01T00:00:00Z.
    pub(super) timestamp: i64,
    /// Number of events and bytes of the previous message.
    pub(super) before: (usize, usize),
}

impl Heading<'_> {
    /// Returns the expected length of the body, from the previous message's events.
    fn expected(&self, unread: u64) -> usize {
        let (events, bytes) = self.before;
        let unread = usize::try_from(unread).unwrap_or(usize::MAX);
        let of_each = bytes.checked_div(events).unwrap_or(0);
        (events.min(unread) * (of_each + 1) + 64).min(MAX_MESSAGE_BYTES)
    }
}

/// Fills a message with the oldest unread events before the number `until`; they are not taken yet.
pub(super) fn fill(
    buffer: &mut Buffer,
    telemetry: &Telemetry,
    heading: Heading<'_>,
    until: u64,
    now: Instant,
) -> Filled {
    let properties = properties(telemetry, heading.id);
    let room = MAX_MESSAGE_BYTES.saturating_sub(properties_bytes(&properties));
    let mut cursor = buffer.cursor();
    let expected = heading.expected(until.saturating_sub(cursor.number()));
    let mut body = Body::open(telemetry.template.as_ref(), heading.timestamp, expected);
    let (mut events, mut markers) = (0, 0);
    loop {
        let peeked = buffer.peek(&mut cursor, until, now);
        let found = match peeked {
            Peeked::Nothing => break,
            Peeked::Event => buffer.event(&cursor),
            Peeked::Gap(after) => buffer.marker().map(|marker| (marker, after)),
        };
        let Some((unread, after)) = found else {
            buffer.skip_block(&mut cursor, now);
            continue;
        };
        let belongs = match telemetry.format {
            Format::Narrow => u32::try_from(events).is_ok_and(|events| events < telemetry.max_events),
            Format::Wide => events == 0 || unread.continues,
        };
        if !belongs {
            break;
        }
        body.event(&unread);
        if body.length() > room {
            if events == 0 {
                return Filled::TooLarge { tag: Arc::from(unread.tag), bytes: body.length(), after };
            }
            return message(heading, properties, body.close_without_newest(), (events, markers), cursor);
        }
        events += 1;
        markers += u64::from(peeked != Peeked::Event);
        cursor = after;
    }
    if events == 0 {
        return Filled::Nothing(cursor);
    }
    message(heading, properties, body.close(), (events, markers), cursor)
}

fn message(
    heading: Heading<'_>,
    properties: PropertyBag,
    body: Bytes,
    (events, markers): (usize, u64),
    after: Cursor,
) -> Filled {
    Filled::Message { message: Message { number: heading.number, properties, body, events }, after, markers }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::store::SharedBuffers;
    use crate::tags::event::{Event, Value};
    use lanyard_handoff::templates::template::Template;
    use lanyard_handoff::templates::texts::TemplateTexts;

    fn event(tag: &str, value: Value, time: i64) -> Event {
        Event { tag: Arc::from(tag), value, good: true, continues: false, time }
    }

    fn buffer(events: &[Event]) -> Buffer {
        let mut buffer = Buffer::in_memory(&Default::default(), &SharedBuffers::default());
        buffer.append(events, Instant::now());
        buffer
    }

    fn filled(buffer: &mut Buffer, telemetry: &Telemetry) -> Filled {
        let heading = Heading { id: "m-1", number: 1, timestamp: 1_488_227_380_000, before: (0, 0) };
        fill(buffer, telemetry, heading, buffer.end(), Instant::now())
    }

    fn message(buffer: &mut Buffer, telemetry: &Telemetry) -> Message {
        match filled(buffer, telemetry) {
            Filled::Message { message, .. } => message,
            other => unreachable!("{other:?}"),
        }
    }

    /// The reference's own example.
    #[test]
    fn narrow_is_written_as_kepware_does() {
        let mut buffer = buffer(&[
            event("Channel1.Device1.R1", Value::Integer(4084), 1_488_227_377_340),
            event("Channel1.Device1.R1", Value::Integer(4085), 1_488_227_378_361),
            event("Channel1.Device1.R1", Value::Integer(4086), 1_488_227_379_371),
        ]);
        let message = message(&mut buffer, &Telemetry::default());
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
        let second = event("Channel1.Device1.Tag2", Value::Boolean(false), 1_488_227_379_371);
        let mut buffer = buffer(&[
            event("Channel1.Device1.R1", Value::Integer(4086), 1_488_227_379_371),
            Event { continues: true, ..second },
            event("Channel1.Device1.R1", Value::Integer(4087), 1),
        ]);
        let telemetry = Telemetry { format: Format::Wide, max_events: 1, ..Telemetry::default() };
        assert_eq!(
            message(&mut buffer, &telemetry).body,
            concat!(
                r#"{"timestamp":1488227380000,"values":["#,
                r#"{"id":"Channel1.Device1.R1","v":4086,"q":true,"t":1488227379371},"#,
                r#"{"id":"Channel1.Device1.Tag2","v":false,"q":true,"t":1488227379371}]}"#
            )
        );
    }

    #[test]
    fn properties_ride_along_and_are_counted_as_the_hub_counts() {
        let mut buffer = buffer(&[event("T", Value::Null, 1)]);
        let properties = [("location".to_owned(), "ab/cd".to_owned())].into();
        let telemetry = Telemetry { properties, content_type: None, ..Telemetry::default() };
        let message = message(&mut buffer, &telemetry);
        assert_eq!(message.properties.to_string(), "%24.mid=m-1&%24.ce=utf-8&location=ab%2Fcd");
        assert_eq!(
            message.counted_bytes() - message.body.len(),
            "m-1".len() + "utf-8".len() + "location".len() + "ab/cd".len()
        );
    }

    #[test]
    fn max_events_and_the_hubs_limit_cut_messages() {
        let telemetry = Telemetry { max_events: 2, ..Telemetry::default() };
        let events: Vec<Event> = (0..3).map(|n| event("T", Value::Integer(n), n)).collect();
        assert_eq!(message(&mut buffer(&events), &telemetry).events, 2);

        let text = Value::Text(Arc::from("x".repeat(100_000)));
        let events: Vec<Event> = (0..3).map(|n| event("T", text.clone(), n)).collect();
        let message = message(&mut buffer(&events), &Telemetry::default());
        assert_eq!(message.events, 2);
        assert!(message.counted_bytes() <= MAX_MESSAGE_BYTES);
    }

    /// The text before the next event counts as well as the end after the last one.
    #[test]
    fn templates_are_cut_at_the_hubs_limit_too() {
        let text = "[|#each VALUES|{\"v\":|VALUE|}|#if @last|\n\n\n|else|,|/if||/each|]";
        let texts = TemplateTexts { advanced: Some(text.to_owned()), standard: None };
        let telemetry = Telemetry { template: Some(Template::new(texts).unwrap()), ..Telemetry::default() };
        let text = |length: usize| Value::Text(Arc::from("x".repeat(length)));
        let of =
            |first: usize, second: usize| buffer(&[event("A", text(first), 1), event("B", text(second), 1)]);
        let around = message(&mut of(0, 0), &telemetry).counted_bytes();
        let fits = message(&mut of(100_000, MAX_MESSAGE_BYTES - around - 100_000), &telemetry);
        assert_eq!((fits.counted_bytes(), fits.events), (MAX_MESSAGE_BYTES, 2));
        let cut = message(&mut of(100_000, MAX_MESSAGE_BYTES - around - 100_000 + 1), &telemetry);
        assert_eq!(cut.events, 1);
        assert!(cut.body.ends_with(b"x\"}\n\n\n]"), "the one that stays is the last");
        let mut over = of(MAX_MESSAGE_BYTES, 0);
        assert!(matches!(filled(&mut over, &telemetry), Filled::TooLarge { tag, .. } if &*tag == "A"));
    }

    #[test]
    fn the_largest_event_that_fits_is_sent_and_one_byte_more_is_not() {
        let telemetry = Telemetry::default();
        let of = |length: usize| buffer(&[event("T", Value::Text(Arc::from("x".repeat(length))), 1)]);
        let around = message(&mut of(0), &telemetry).counted_bytes();
        let fits = message(&mut of(MAX_MESSAGE_BYTES - around), &telemetry);
        assert_eq!(fits.counted_bytes(), MAX_MESSAGE_BYTES);
        let mut over = of(MAX_MESSAGE_BYTES - around + 1);
        assert!(matches!(filled(&mut over, &telemetry), Filled::TooLarge { tag, .. } if &*tag == "T"));
    }
}
