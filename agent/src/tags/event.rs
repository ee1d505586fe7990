//! One sampled value of one tag. Pure.

use std::sync::Arc;

/// What a tag can hold. Cheap to clone: texts and arrays are shared.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing was ever read.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, as wide as the field device has it.
    Float(f32),
    /// Text.
    Text(Arc<str>),
    /// Several values under one address.
    Array(Arc<[Value]>),
}

impl Value {
    /// The bytes it holds besides its own size.
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Float(_) => 0,
            // Texts and names are shared by many events, but the durable form writes each of them out.
            Self::Text(text) => text.len(),
            Self::Array(values) => values.iter().map(|value| size_of::<Self>() + value.heap_bytes()).sum(),
        }
    }
}

/// One sampled value of one tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The tag's name.
    pub tag: Arc<str>,
    /// What was read; the last good value when the quality is bad.
    pub value: Value,
    /// Quality: whether the value was read.
    pub good: bool,
    /// When it was read, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
}

impl Event {
    /// What the event counts in the buffer's bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.value.heap_bytes()
    }
}
