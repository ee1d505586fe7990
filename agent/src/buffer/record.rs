//! An event as bytes, and bytes as an event. Pure.
//!
//! ```text
//! head     kind of the value, 3 bits │ good │ continues │ same time as the event before │ wide │ 0
//! tag      its number among the segment's names
//! time     milliseconds since the event before, unless it is the same
//! value    Integer: a number, without sign if wide; Float: 4 bytes, 8 if wide; Text: length and bytes; Array: count,
//! and a head and a value each
//! ```

use super::varint;
use crate::tags::event::{Event, Value};

/// Maximum depth of arrays within arrays.
const DEPTH: u32 = 8;

const KIND: u8 = 0b0000_0111;
const GOOD: u8 = 0b0000_1000;
const CONTINUES: u8 = 0b0001_0000;
const SAME_TIME: u8 = 0b0010_0000;
const WIDE: u8 = 0b0100_0000;
const UNUSED: u8 = 0b1000_0000;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const ARRAY: u8 = 6;
const UNSIGNED: u8 = INTEGER | WIDE;
const DOUBLE: u8 = FLOAT | WIDE;

/// An event in the buffer, decoded in place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventRef<'a> {
    /// The tag's name.
    pub tag: &'a str,
    /// Value of the reading.
    pub value: ValueRef<'a>,
    /// Quality of the reading.
    pub good: bool,
    /// True if the event belongs into the same message as the previous event.
    pub continues: bool,
    /// Time of the reading, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
}

/// A [`Value`] in the buffer, decoded in place.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u64)] // As that one.
pub enum ValueRef<'a> {
    /// Nothing was ever read.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A whole number without sign.
    Unsigned(u64),
    /// A number with a fraction, in 32 bits.
    Float(f32),
    /// A number with a fraction, in 64 bits.
    Double(f64),
    /// Text.
    Text(&'a str),
    /// Several values.
    Array(Elements<'a>),
}

/// The values of an array, which were all decoded once already.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    left: u64,
}

impl<'a> Iterator for Elements<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (&head, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        value(&mut self.bytes, head, DEPTH)
    }
}

/// Writes an event; `before` is the time of the one before it.
pub fn write(out: &mut Vec<u8>, event: &Event, tag: u32, before: i64) {
    let mut head = kind(&event.value);
    head |= if event.good { GOOD } else { 0 };
    head |= if event.continues { CONTINUES } else { 0 };
    head |= if event.time == before { SAME_TIME } else { 0 };
    out.push(head);
    varint::put(out, u64::from(tag));
    if event.time != before {
        varint::put_signed(out, event.time.wrapping_sub(before));
    }
    write_value(out, &event.value, DEPTH);
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Boolean(false) => FALSE,
        Value::Boolean(true) => TRUE,
        Value::Integer(_) => INTEGER,
        Value::Unsigned(_) => UNSIGNED,
        Value::Float(_) => FLOAT,
        Value::Double(_) => DOUBLE,
        Value::Text(_) => TEXT,
        Value::Array(_) => ARRAY,
    }
}

fn write_value(out: &mut Vec<u8>, value: &Value, depth: u32) {
    match value {
        Value::Null | Value::Boolean(_) => {}
        Value::Integer(number) => varint::put_signed(out, *number),
        Value::Unsigned(number) => varint::put(out, *number),
        Value::Float(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Double(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Text(text) => {
            varint::put(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        // What nests deeper than any field device does is empty there.
        Value::Array(_) if depth == 0 => varint::put(out, 0),
        Value::Array(values) => {
            varint::put(out, values.len() as u64);
            for element in values.iter() {
                out.push(kind(element));
                write_value(out, element, depth - 1);
            }
        }
    }
}

/// Takes an event from the front; `None` when it is none.
pub fn take<'a, N: AsRef<str>>(bytes: &mut &'a [u8], before: i64, names: &'a [N]) -> Option<EventRef<'a>> {
    let (&head, rest) = bytes.split_first()?;
    *bytes = rest;
    if head & UNUSED != 0 {
        return None;
    }
    let tag = names.get(usize::try_from(varint::take(bytes)?).ok()?)?.as_ref();
    let time = if head & SAME_TIME == 0 { before.wrapping_add(varint::take_signed(bytes)?) } else { before };
    let value = value(bytes, head & (KIND | WIDE), DEPTH)?;
    Some(EventRef { tag, value, good: head & GOOD != 0, continues: head & CONTINUES != 0, time })
}

fn value<'a>(bytes: &mut &'a [u8], kind: u8, depth: u32) -> Option<ValueRef<'a>> {
    Some(match kind {
        NULL => ValueRef::Null,
        FALSE => ValueRef::Boolean(false),
        TRUE => ValueRef::Boolean(true),
        INTEGER => ValueRef::Integer(varint::take_signed(bytes)?),
        UNSIGNED => ValueRef::Unsigned(varint::take(bytes)?),
        FLOAT => ValueRef::Float(f32::from_le_bytes(varint::take_array(bytes)?)),
        DOUBLE => ValueRef::Double(f64::from_le_bytes(varint::take_array(bytes)?)),
        TEXT => {
            let length = varint::take(bytes)?;
            ValueRef::Text(std::str::from_utf8(varint::take_bytes(bytes, length)?).ok()?)
        }
        ARRAY => {
            let left = varint::take(bytes)?;
            let start = *bytes;
            for _ in 0..left {
                let (&kind, rest) = bytes.split_first()?;
                *bytes = rest;
                value(bytes, kind, depth.checked_sub(1)?)?;
            }
            let length = start.len() - bytes.len();
            ValueRef::Array(Elements { bytes: &start[..length], left })
        }
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    pub(in crate::buffer) fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Integer),
            any::<u64>().prop_map(Value::Unsigned),
            any::<f32>().prop_filter("equal to itself", |number| !number.is_nan()).prop_map(Value::Float),
            any::<f64>().prop_filter("equal to itself", |number| !number.is_nan()).prop_map(Value::Double),
            ".{0,12}".prop_map(|text| Value::Text(Arc::from(text.as_str()))),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            proptest::collection::vec(inner, 0..4).prop_map(|values| Value::Array(Arc::from(values)))
        })
    }

    fn owned(value: ValueRef<'_>) -> Value {
        match value {
            ValueRef::Null => Value::Null,
            ValueRef::Boolean(boolean) => Value::Boolean(boolean),
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Unsigned(number) => Value::Unsigned(number),
            ValueRef::Float(number) => Value::Float(number),
            ValueRef::Double(number) => Value::Double(number),
            ValueRef::Text(text) => Value::Text(Arc::from(text)),
            ValueRef::Array(elements) => Value::Array(elements.map(owned).collect()),
        }
    }

    proptest! {
        #[test]
        fn written_event_is_read_back(
            value in any_value(), good: bool, continues: bool, time: i64, before: i64, tag in 0_u32..3
        ) {
            let event = Event { tag: Arc::from(format!("t{tag}")), value, good, continues, time };
            let mut bytes = Vec::new();
            write(&mut bytes, &event, tag, before);
            let mut rest = bytes.as_slice();
            let names = ["t0", "t1", "t2"];
            let taken = take(&mut rest, before, &names).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!((taken.tag, taken.good, taken.continues, taken.time), (&*event.tag, good, continues, time));
            prop_assert_eq!(owned(taken.value), event.value);
        }

        #[test]
        fn any_bytes_are_an_event_or_none(bytes: Vec<u8>, before: i64) {
            let mut rest = bytes.as_slice();
            if let Some(EventRef { value: ValueRef::Array(elements), .. }) = take(&mut rest, before, &["a", "b"]) {
                prop_assert_eq!(elements.count() as u64, elements.left);
            }
        }
    }
}
