//! Messages for the errors of a document: they name the allowed values and the fix. Pure.

use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use crate::document::value_error::{FoundValue, ValueError};

/// Message for a document without content.
pub const EMPTY: &str =
    "the document is empty or ends too early: add what is missing, and close every bracket and quote";
/// Message for a document that is a list or a single value.
pub const NO_FIELDS: &str = "use fields with values, such as name: value";

/// Returns the message for a YAML document. It never repeats a value, because some documents contain keys.
#[must_use]
pub fn of_yaml(error: &Error) -> String {
    match error.without_snippet() {
        Error::Eof { .. } => EMPTY.to_owned(),
        Error::MultipleDocuments { .. } => {
            "a second document begins here: keep one, and remove the line ---".to_owned()
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("{key:?} occurs twice: keep one of them")
        }
        Error::DuplicateMappingKey { key: None, .. } => {
            "the same field occurs twice: keep one of them".to_owned()
        }
        Error::UnknownAnchor { .. } => {
            "there is no anchor with this name: put the text in quotes if * is part of it".to_owned()
        }
        Error::InvalidScalar { ty, .. } => format!("use {}", kind(ty)),
        Error::InvalidBooleanStrict { .. } => "use true or false".to_owned(),
        Error::Unexpected { expected, .. } => format!("use {}", kind(expected)),
        Error::NullIntoString { .. } => "there is no value: add one, or remove the field".to_owned(),
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            format!("use {}", kind(expected))
        }
        Error::SerdeMissingField { field, .. } => format!("{field} is missing: add it"),
        // Messages of the types themselves, which name the fix.
        Error::Message { msg, .. } => msg.clone(),
        other => {
            let message = UserMessageFormatter.format_message(other);
            format!(
                "this is not YAML: {message}; check indentation, quotes and brackets, here and just above"
            )
        }
    }
}

/// Returns the message for a value, with a description of it.
#[must_use]
pub fn of_value(error: &ValueError) -> String {
    match error {
        ValueError::Mismatch { found: FoundValue::Text(found) | FoundValue::Plain(found), expected } => {
            format!("{found} is not allowed here: use {}", kind(expected))
        }
        ValueError::UnknownVariant { found, allowed } => {
            format!("{found:?} is not allowed here: use {}", choice(allowed))
        }
        ValueError::UnknownField { allowed: [], .. } => format!("{NO_SUCH_FIELD}: remove it"),
        ValueError::UnknownField { found, allowed } => {
            let nearest = nearest(found, allowed);
            let guess = nearest.map(|name| format!("did you mean {name}? ")).unwrap_or_default();
            format!("{NO_SUCH_FIELD}: {guess}use {}", choice(allowed))
        }
        ValueError::MissingField(_) => "is missing: add it".to_owned(),
        ValueError::Other(message) => message.clone(),
    }
}

/// Returns the same message without the value, for documents that contain keys.
#[must_use]
pub fn of_secret_value(error: &ValueError) -> String {
    match error {
        ValueError::Mismatch { found: FoundValue::Text(_), expected } => {
            format!("this text is not allowed here: use {}", kind(expected))
        }
        error => of_value(error),
    }
}

/// Beginning of the message for an unknown field.
const NO_SUCH_FIELD: &str = "there is no such field here";

/// Returns the allowed name that was probably meant.
#[must_use]
pub fn nearest(found: &str, allowed: &[&'static str]) -> Option<&'static str> {
    let distance = |name: &str| strsim::osa_distance(&found.to_lowercase(), &name.to_lowercase());
    let nearest = allowed.iter().copied().min_by_key(|name| distance(name));
    nearest.filter(|name| distance(name) <= 2 && name.len() > 3)
}

fn choice(names: &[&str]) -> String {
    match names {
        [one, other] => format!("{one} or {other}"),
        names => names.join(", "),
    }
}

/// Returns the user's term for a parser's term.
fn kind(expected: &str) -> String {
    let whole = |largest: u64| format!("a whole number from 0 to {largest}");
    match expected {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" => whole(u64::MAX),
        "bool" | "boolean" | "a boolean" => "true or false".to_owned(),
        "a string" | "string" => "text".to_owned(),
        "scalar" | "string scalar" => "a single value".to_owned(),
        "a sequence" | "sequence start" => "a list, each item in a line that begins with -".to_owned(),
        "a map" | "mapping start" => "fields with values, such as {name: value}".to_owned(),
        other if other.starts_with("struct ") => "fields with values, such as {name: value}".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::value::ValueDeserializer;

    fn mismatch(found: FoundValue, expected: &str) -> ValueError {
        ValueError::Mismatch { found, expected: expected.to_owned() }
    }

    fn unknown_field(found: &str, allowed: &'static [&'static str]) -> ValueError {
        ValueError::UnknownField { found: found.to_owned(), allowed }
    }

    #[test]
    fn value_error_names_found_and_allowed_value() {
        let plain = |found: &str| FoundValue::Plain(found.to_owned());
        for (error, message) in [
            (
                mismatch(plain("integer -5"), "u16"),
                "integer -5 is not allowed here: use a whole number from 0 to 65535",
            ),
            (
                mismatch(plain("map"), "a sequence"),
                "map is not allowed here: use a list, each item in a line that begins with -",
            ),
            (
                ValueError::UnknownVariant { found: "Fancy".to_owned(), allowed: &["Narrow", "Wide"] },
                "\"Fancy\" is not allowed here: use Narrow or Wide",
            ),
            (unknown_field("x", &["a", "b", "c"]), "there is no such field here: use a, b, c"),
            (
                unknown_field("Intervall", &["format", "interval"]),
                "there is no such field here: did you mean interval? use format or interval",
            ),
            (unknown_field("x", &[]), "there is no such field here: remove it"),
            (mismatch(plain("map"), "f64"), "map is not allowed here: use f64"),
            (ValueError::MissingField("name"), "is missing: add it"),
            (ValueError::Other("write 10s".to_owned()), "write 10s"),
        ] {
            assert_eq!(of_value(&error), message);
        }
    }

    #[test]
    fn nearest_name_differs_by_at_most_two_letters() {
        assert_eq!(nearest("nmae", &["format", "name"]), Some("name"));
        assert_eq!(nearest("INTERVALSS", &["interval"]), Some("interval"));
        assert_eq!(nearest("intervalsss", &["interval"]), None);
        assert_eq!(nearest("qo", &["qos"]), None, "short names resemble every text");
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn message_for_a_secret_value_omits_the_text() {
        let text = FoundValue::Text("string \"c2VjcmV0, expected \"".to_owned());
        let number = FoundValue::Plain("integer -5".to_owned());
        for (found, expected, message) in [
            (text.clone(), "u16", "this text is not allowed here: use a whole number from 0 to 65535"),
            (
                text,
                "a sequence",
                "this text is not allowed here: use a list, each item in a line that begins with -",
            ),
            (number, "u16", "integer -5 is not allowed here: use a whole number from 0 to 65535"),
        ] {
            assert_eq!(of_secret_value(&mismatch(found, expected)), message);
        }
    }

    /// The types' names in `kind` are serde's: this test fails when a release of serde changes them.
    #[test]
    fn every_type_of_serde_has_a_term() {
        use std::collections::BTreeMap;

        use serde::Deserialize;
        use serde::de::DeserializeOwned;

        #[derive(Debug, Deserialize)]
        struct Fields {}
        fn message<T: DeserializeOwned + std::fmt::Debug>(value: &serde_json::Value) -> String {
            of_value(&T::deserialize(ValueDeserializer(value)).unwrap_err())
        }
        let (list, number) = (serde_json::json!([]), serde_json::json!(-1));
        let expected = |term: &str, found: &str| format!("{found} is not allowed here: use {term}");
        let (of_list, of_number) = ("sequence", "integer -1");
        assert_eq!(message::<u8>(&number), expected("a whole number from 0 to 255", of_number));
        assert_eq!(message::<u16>(&number), expected("a whole number from 0 to 65535", of_number));
        assert_eq!(message::<u32>(&number), expected("a whole number from 0 to 4294967295", of_number));
        let largest = format!("a whole number from 0 to {}", u64::MAX);
        assert_eq!(message::<u64>(&number), expected(&largest, of_number));
        assert_eq!(message::<bool>(&number), expected("true or false", of_number));
        assert_eq!(message::<String>(&list), expected("text", of_list));
        let items = "a list, each item in a line that begins with -";
        assert_eq!(message::<Vec<u8>>(&number), expected(items, of_number));
        let fields = "fields with values, such as {name: value}";
        assert_eq!(message::<BTreeMap<String, u8>>(&list), expected(fields, of_list));
        assert_eq!(message::<Fields>(&number), expected(fields, of_number));
    }

    #[test]
    fn yaml_error_names_the_fix_and_no_value() {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only its errors matter")]
        struct Document {
            key: u32,
            list: Vec<bool>,
        }
        for (text, words) in [
            ("key: 1\nkey: 2", "\"key\" occurs twice: keep one of them"),
            ("key: -1", "use a whole number from 0 to 4294967295"),
            ("key: secret", "use a whole number from 0 to 4294967295"),
            ("list: {a: secret}", "use a list, each item in a line that begins with -"),
            ("list: [secret]", "use true or false"),
            ("key: 1", "list is missing: add it"),
            ("key: *secrets", "there is no anchor with this name"),
            ("{key: 1, list: []}\n---\n", "a second document begins here"),
            ("", "the document is empty or ends too early"),
            ("key: [", "use a single value"),
            ("key: }", "this is not YAML"),
        ] {
            let message = of_yaml(&serde_saphyr::from_str::<Document>(text).unwrap_err());
            assert!(message.contains(words), "{text:?}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
