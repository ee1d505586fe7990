//! One sampled value of one tag. Pure.

use std::sync::Arc;

/// Value of a tag. Cheap to clone: texts and arrays are shared.
// A kind of one byte would be moved together with the seven behind it in pieces that overlap, which processors wait for.
#[derive(Debug, Clone, PartialEq)]
#[repr(u64)]
pub enum Value {
    /// Nothing was ever read.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A whole number that may be too large for [`Value::Integer`].
    Unsigned(u64),
    /// A number with a fraction, in 32 bits.
    Float(f32),
    /// A number with a fraction, in 64 bits.
    Double(f64),
    /// Text.
    Text(Arc<str>),
    /// Several values under one address.
    Array(Arc<[Value]>),
}

/// One sampled value of one tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The tag's name.
    pub tag: Arc<str>,
    /// Value of the reading; the last good value if the quality is bad.
    pub value: Value,
    /// Quality: whether the value was read.
    pub good: bool,
    /// True if the event belongs into the same message as the previous event: both are of one scan of all tags.
    pub continues: bool,
    /// Time of the reading, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
}
