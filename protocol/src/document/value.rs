//! Deserializer of a JSON value whose errors are data. Pure.

// serde_json's own deserializer turns each error into English text; a new release may change the text, and with it
// the messages that are made from it.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::document::value_error::ValueError;

/// Deserializer of a value.
#[derive(Debug, Clone, Copy)]
pub struct ValueDeserializer<'de>(pub &'de Value);

impl ValueDeserializer<'_> {
    fn unexpected(&self) -> Unexpected<'_> {
        match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => Unexpected::Unsigned(value),
                (None, Some(value)) => Unexpected::Signed(value),
                (None, None) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }
}

impl<'de> IntoDeserializer<'de, ValueError> for ValueDeserializer<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (None, Some(value)) => visitor.visit_i64(value),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Self));
                let read = visitor.visit_seq(&mut items)?;
                items.end().map(|()| read)
            }
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), Self(value)));
                let mut fields = MapDeserializer::new(fields);
                let read = visitor.visit_map(&mut fields)?;
                fields.end().map(|()| read)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Value::Object(fields) if fields.len() == 1 => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), Self(value)));
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(fields)))
            }
            _ => Err(ValueError::invalid_type(self.unexpected(), &"a string")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;
    use crate::document::value_error::FoundValue;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Press {
        name: String,
        force: Option<f64>,
        #[serde(default)]
        mode: Mode,
        #[serde(default)]
        labels: BTreeMap<String, i8>,
        #[serde(default)]
        limits: (u8, i64),
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    enum Mode {
        #[default]
        Idle,
        Stroke(u16),
    }

    fn read<T: DeserializeOwned>(value: &Value) -> Result<T, ValueError> {
        T::deserialize(ValueDeserializer(value))
    }

    #[test]
    fn values_are_read_as_serde_json_reads_them() {
        for value in [
            json!({"name": "a", "force": 1, "mode": "Idle", "labels": {"x": -1}, "limits": [1, -2]}),
            json!({"name": "a", "force": null, "mode": {"Stroke": 7}}),
            json!({"name": "a", "force": 1.5}),
        ] {
            let expected = serde_json::from_value::<Press>(value.clone()).unwrap();
            assert_eq!(read::<Press>(&value), Ok(expected));
        }
        let value = json!([null, true, 1, -1, 1.5, "a", {"b": []}]);
        assert_eq!(read::<Value>(&value), Ok(value));
    }

    #[test]
    fn errors_name_value_and_type() {
        let mismatch = |found: FoundValue, expected: &str| {
            Err::<Press, _>(ValueError::Mismatch { found, expected: expected.to_owned() })
        };
        let plain = |found: &str| FoundValue::Plain(found.to_owned());
        let text = |found: &str| FoundValue::Text(found.to_owned());
        for (value, expected) in [
            (json!({"name": 17}), mismatch(plain("integer 17"), "a string")),
            (json!({"name": true}), mismatch(plain("boolean true"), "a string")),
            (json!({"name": 1.0}), mismatch(plain("floating point 1.0"), "a string")),
            (json!({"name": null}), mismatch(plain("null"), "a string")),
            (json!({"name": []}), mismatch(plain("sequence"), "a string")),
            (json!({"labels": {"x": -200}}), mismatch(plain("integer -200"), "i8")),
            (json!({"force": "\"b"}), mismatch(text("string \"\\\"b\""), "f64")),
            (json!({"mode": 1}), mismatch(plain("integer 1"), "a string")),
            (json!({"mode": {"Stroke": 7, "Idle": 1}}), mismatch(plain("map"), "a string")),
            (json!({"limits": {}}), mismatch(plain("map"), "a tuple of size 2")),
            (
                json!({"mode": "Fast"}),
                Err(ValueError::UnknownVariant { found: "Fast".to_owned(), allowed: &["Idle", "Stroke"] }),
            ),
            (
                json!({"forse": 1}),
                Err(ValueError::UnknownField {
                    found: "forse".to_owned(),
                    allowed: &["name", "force", "mode", "labels", "limits"],
                }),
            ),
            (json!({}), Err(ValueError::MissingField("name"))),
        ] {
            assert_eq!(read::<Press>(&value), expected, "{value}");
        }
    }
}
