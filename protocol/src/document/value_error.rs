//! Error of a value that does not fit its type, as data and not as text. Pure.

use serde::de::{Error, Expected, Unexpected};

/// Error of reading a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueError {
    /// A value of another type or outside of the range.
    Mismatch {
        /// Description of the value.
        found: FoundValue,
        /// Description of the type, in serde's words or those of the type itself.
        expected: String,
    },
    /// A text that is none of the enumeration's names.
    UnknownVariant {
        /// The text.
        found: String,
        /// The enumeration's names.
        allowed: &'static [&'static str],
    },
    /// A field that does not exist.
    UnknownField {
        /// Name of the field.
        found: String,
        /// Names of the existing fields.
        allowed: &'static [&'static str],
    },
    /// A required field that is missing.
    MissingField(&'static str),
    /// Message of the type itself, which says how to fix the value.
    Other(String),
}

/// Description of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundValue {
    /// Text, which may be secret.
    Text(String),
    /// Number, boolean, list, fields or null.
    Plain(String),
}

impl From<Unexpected<'_>> for FoundValue {
    fn from(found: Unexpected<'_>) -> Self {
        match found {
            Unexpected::Bool(value) => Self::Plain(format!("boolean {value}")),
            Unexpected::Unsigned(value) => Self::Plain(format!("integer {value}")),
            Unexpected::Signed(value) => Self::Plain(format!("integer {value}")),
            Unexpected::Float(value) => Self::Plain(format!("floating point {value:?}")),
            Unexpected::Seq => Self::Plain("sequence".to_owned()),
            Unexpected::Map => Self::Plain("map".to_owned()),
            Unexpected::Unit | Unexpected::Option => Self::Plain("null".to_owned()),
            Unexpected::Str(text) => Self::Text(format!("string {text:?}")),
            other => Self::Text(other.to_string()),
        }
    }
}

impl Error for ValueError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Mismatch { found: found.into(), expected: expected.to_string() }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, allowed: &'static [&'static str]) -> Self {
        Self::UnknownVariant { found: found.to_owned(), allowed }
    }

    fn unknown_field(found: &str, allowed: &'static [&'static str]) -> Self {
        Self::UnknownField { found: found.to_owned(), allowed }
    }

    fn missing_field(name: &'static str) -> Self {
        Self::MissingField(name)
    }
}

impl std::error::Error for ValueError {}

impl std::fmt::Display for ValueError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The found text may be secret.
        f.write_str("the value does not fit its type")
    }
}
