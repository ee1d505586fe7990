//! Events as JSON, byte for byte as Kepware's IoT Gateway writes them. Pure.

use crate::buffer::record::{EventRef, ValueRef};

/// Starts a body: `timestamp` is the time of publishing, in milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn open(body: &mut Vec<u8>, timestamp: i64) {
    body.extend_from_slice(b"{\"timestamp\":");
    write(body, &timestamp);
    body.extend_from_slice(b",\"values\":[");
}

/// End of a body.
pub(super) const CLOSE: &[u8] = b"]}";

/// The text of a time, written once for all events with this time.
#[derive(Debug, Default)]
pub(super) struct Time {
    time: i64,
    text: Vec<u8>,
}

impl Time {
    fn text(&mut self, time: i64) -> &[u8] {
        if self.time != time || self.text.is_empty() {
            self.time = time;
            self.text.clear();
            write(&mut self.text, &time);
        }
        &self.text
    }
}

/// Writes `{"id":"Channel1.Device1.R1","v":4084,"q":true,"t":1488227377340}`.
pub(super) fn event(body: &mut Vec<u8>, event: &EventRef<'_>, time: &mut Time) {
    body.extend_from_slice(b"{\"id\":");
    text(body, event.tag);
    body.extend_from_slice(b",\"v\":");
    value(body, event.value);
    body.extend_from_slice(if event.good { &b",\"q\":true,\"t\":"[..] } else { b",\"q\":false,\"t\":" });
    body.extend_from_slice(time.text(event.time));
    body.push(b'}');
}

/// Writes a text. Most texts have nothing to escape.
fn text(body: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        body.push(b'"');
        body.extend_from_slice(text.as_bytes());
        body.push(b'"');
    } else {
        write(body, text);
    }
}

/// Returns whether JSON escapes none of these bytes. It tests eight at a time; the last eight overlap the previous
/// ones.
fn is_plain(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().all(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    };
    let (eights, _) = bytes.as_chunks::<8>();
    eights.iter().chain([last]).fold(0, |found, eight| found | escaped(u64::from_le_bytes(*eight))) == 0
}

/// Returns a number other than 0 if one of eight bytes is a control character, a quote or a backslash.
// A byte minus one borrows from its upper bit only if the byte is 0, and a byte with that bit set is not one that is
// escaped; a borrow continues upwards only from one that is.
fn escaped(eight: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let is_zero = |bytes: u64| bytes.wrapping_sub(EACH) & !bytes;
    let control = eight.wrapping_sub(EACH * 0x20) & !eight;
    let quote = is_zero(eight ^ (EACH * u64::from(b'"')));
    let backslash = is_zero(eight ^ (EACH * u64::from(b'\\')));
    (control | quote | backslash) & (EACH * 0x80)
}

pub(super) fn value(body: &mut Vec<u8>, value_ref: ValueRef<'_>) {
    match value_ref {
        ValueRef::Null => body.extend_from_slice(b"null"),
        ValueRef::Boolean(boolean) => write(body, &boolean),
        ValueRef::Integer(number) => write(body, &number),
        ValueRef::Unsigned(number) => write(body, &number),
        // The fewest digits that are read as the same number. JSON has no NaN and no infinity; serde_json writes null.
        ValueRef::Float(number) => write(body, &number),
        ValueRef::Double(number) => write(body, &number),
        ValueRef::Text(characters) => text(body, characters),
        ValueRef::Array(elements) => {
            body.push(b'[');
            for (position, element) in elements.enumerate() {
                if position > 0 {
                    body.push(b',');
                }
                value(body, element);
            }
            body.push(b']');
        }
    }
}

fn write<T: serde::Serialize + ?Sized>(body: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(body, value).expect("a number, boolean or text, written to memory");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::record;
    use crate::tags::event::{Event, Value};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn write_event(tag: &str, value: Value, good: bool, time: i64) -> String {
        let (mut bytes, mut body) = (Vec::new(), Vec::new());
        record::write(&mut bytes, &Event { tag: Arc::from(tag), value, good, continues: false, time }, 0, 0);
        event(&mut body, &record::take(&mut bytes.as_slice(), 0, &[tag]).unwrap(), &mut Time::default());
        String::from_utf8(body).unwrap()
    }

    fn text(value: Value) -> String {
        write_event("T", value, true, 1)
    }

    #[test]
    fn values_have_the_documented_forms() {
        for (value, expected) in [
            (Value::Integer(4084), "4084"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Boolean(false), "false"),
            (Value::Null, "null"),
            (Value::Float(15.16), "15.16"),
            (Value::Float(-0.25), "-0.25"),
            (Value::Float(20.0), "20.0"),
            (Value::Float(f32::NAN), "null"),
            (Value::Float(f32::NEG_INFINITY), "null"),
            (Value::Float(0.1), "0.1"),
            (Value::Float(f32::MAX), "3.4028235e+38"),
            (Value::Float(-0.0), "-0.0"),
            (Value::Double(0.1), "0.1"),
            (Value::Double(1.0e-7), "1e-7"),
            (Value::Double(1.0e15), "1000000000000000.0"),
            (Value::Double(1.0e16), "1e+16"),
            (Value::Double(f64::INFINITY), "null"),
            (Value::Unsigned(u64::MAX), "18446744073709551615"),
            (Value::Text(Arc::from("say \"hi\"\n\u{e9}\u{0}")), "\"say \\\"hi\\\"\\n\u{e9}\\u0000\""),
            (Value::Array(Arc::from([Value::Integer(1), Value::Integer(2)])), "[1,2]"),
            (Value::Array(Arc::from([])), "[]"),
        ] {
            assert_eq!(text(value), format!("{{\"id\":\"T\",\"v\":{expected},\"q\":true,\"t\":1}}"));
        }
    }

    /// Every byte, at every place in texts around eight and sixteen bytes.
    #[test]
    fn bytes_to_escape_are_found_at_any_position() {
        for (byte, length) in (0..=u8::MAX).flat_map(|byte| (1..=20).map(move |length| (byte, length))) {
            let escaped = byte < 0x20 || byte == b'"' || byte == b'\\';
            for (around, place) in
                [b'a', 0x80, 0xff, b'#'].into_iter().flat_map(|a| (0..length).map(move |p| (a, p)))
            {
                let mut bytes = vec![around; length];
                bytes[place] = byte;
                assert_eq!(is_plain(&bytes), !escaped, "{bytes:?}");
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Integer),
            any::<u64>().prop_map(Value::Unsigned),
            any::<f32>().prop_map(Value::Float),
            any::<f64>().prop_map(Value::Double),
            "(\\PC|[\\x00-\\x1f\"\\\\]){0,12}".prop_map(|text| Value::Text(Arc::from(text.as_str()))),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| {
            proptest::collection::vec(inner, 0..4).prop_map(|values| Value::Array(Arc::from(values)))
        })
    }

    /// Returns whether an independent parser reads the same value.
    fn reads_as(read: &serde_json::Value, value: &Value) -> bool {
        match value {
            Value::Null => read.is_null(),
            Value::Boolean(boolean) => *read == *boolean,
            Value::Integer(number) => *read == *number,
            Value::Float(number) if number.is_finite() => {
                read.as_f64().is_some_and(|read| read as f32 == *number)
            }
            Value::Unsigned(number) => *read == *number,
            // This reader rounds in the last place; below is one that does not.
            Value::Double(number) if number.is_finite() => {
                // The smallest numbers lie further apart than their digits say.
                read.as_f64().is_some_and(|read| (read - number).abs() <= (number.abs() * 1e-15).max(1e-323))
            }
            Value::Float(_) | Value::Double(_) => read.is_null(),
            Value::Text(text) => *read == **text,
            Value::Array(values) => read.as_array().is_some_and(|read| {
                read.len() == values.len()
                    && read.iter().zip(values.iter()).all(|(read, value)| reads_as(read, value))
            }),
        }
    }

    proptest! {
        #[test]
        fn any_number_keeps_all_its_digits(wide in any::<f64>(), narrow in any::<f32>()) {
            let written = |value_ref| {
                let mut body = Vec::new();
                value(&mut body, value_ref);
                String::from_utf8(body).unwrap()
            };
            if wide.is_finite() {
                prop_assert_eq!(written(ValueRef::Double(wide)).parse(), Ok(wide));
            }
            if narrow.is_finite() {
                prop_assert_eq!(written(ValueRef::Float(narrow)).parse(), Ok(narrow));
            }
        }

        #[test]
        fn any_event_reads_back(tag in ".{1,12}", value in any_value(), good in any::<bool>(), time in any::<i64>()) {
            let body = write_event(&tag, value.clone(), good, time);
            let read: serde_json::Value = serde_json::from_str(&body).unwrap();
            prop_assert_eq!(&read["id"], &serde_json::Value::from(tag));
            prop_assert!(reads_as(&read["v"], &value), "{}: {value:?}", read["v"]);
            prop_assert_eq!(&read["q"], &serde_json::Value::from(good));
            prop_assert_eq!(&read["t"], &serde_json::Value::from(time));
            prop_assert_eq!(read.as_object().unwrap().len(), 4);
        }
    }
}
