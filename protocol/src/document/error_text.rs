//! Rewrites parsers' error texts: they name the allowed values and the fix. Pure.

use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

/// Of a document with nothing in it.
pub const EMPTY: &str =
    "the document is empty or ends too early: write what is missing, close every bracket and quote";
/// Of a document that is a list or a single value.
pub const NO_FIELDS: &str = "use fields with values, such as name: value";

/// The error of a YAML document. It never repeats a value: in some documents there are keys.
#[must_use]
pub fn of_yaml(error: &Error) -> String {
    match error.without_snippet() {
        Error::Eof { .. } => EMPTY.to_owned(),
        Error::MultipleDocuments { .. } => {
            "a second document begins here: keep one, and take the line --- out".to_owned()
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("{key:?} stands twice: keep one of them")
        }
        Error::DuplicateMappingKey { key: None, .. } => {
            "the same field stands twice: keep one of them".to_owned()
        }
        Error::UnknownAnchor { .. } => {
            "there is no anchor of this name: put the text into quotes if * is part of it".to_owned()
        }
        Error::InvalidScalar { ty, .. } => format!("use {}", kind(ty)),
        Error::InvalidBooleanStrict { .. } => "use true or false".to_owned(),
        Error::Unexpected { expected, .. } => format!("use {}", kind(expected)),
        Error::NullIntoString { .. } => "there is no value: write one, or take the field out".to_owned(),
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            format!("use {}", kind(expected))
        }
        Error::SerdeMissingField { field, .. } => format!("{field} is missing: add it"),
        // Texts of the types themselves, who say what to do.
        Error::Message { msg, .. } => msg.clone(),
        other => {
            let said = UserMessageFormatter.format_message(other);
            format!("this is no YAML: {said}; look at indentation, quotes and brackets, here and just above")
        }
    }
}

/// The error of a value that was read already, with what was found in it.
#[must_use]
pub fn of_value(said: &str) -> String {
    let (what, expected) = said.split_once(", expected ").unwrap_or((said, ""));
    let allowed = expected.trim_start_matches("one of ").replace('`', "");
    if let Some(found) = what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: "))
    {
        return format!("{} is not allowed here: use {}", found.replace('`', ""), kind(expected));
    }
    if let Some(found) = what.strip_prefix("unknown variant ") {
        return format!("{:?} is not allowed here: use {allowed}", found.trim_matches('`'));
    }
    if what.starts_with("unknown field ") {
        return match allowed.as_str() {
            "" => format!("{NO_SUCH_FIELD}: take it out"),
            _ => format!("{NO_SUCH_FIELD}: {}use {allowed}", guess(what, &allowed)),
        };
    }
    if what.starts_with("missing field ") {
        return "is missing: add it".to_owned();
    }
    said.to_owned()
}

/// Beginning of the error of an unknown field.
const NO_SUCH_FIELD: &str = "there is no such field here";

/// Returns whether the error is of an unknown field whose name is similar to no known one.
#[must_use]
pub fn is_of_an_unlike_name(message: &str) -> bool {
    message.starts_with(NO_SUCH_FIELD) && !message.contains("did you mean")
}

/// The same, without what was found: in some documents there are keys.
#[must_use]
pub fn of_secret_value(said: &str) -> String {
    let (what, expected) = said.split_once(", expected ").unwrap_or((said, ""));
    let number = ["integer `", "floating point `", "boolean `", "map", "sequence", "null"];
    match what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: ")) {
        Some(found) if !number.iter().any(|start| found.starts_with(start)) => {
            format!("this text is not allowed here: use {}", kind(expected))
        }
        _ => of_value(said),
    }
}

/// The field that was meant, if one is near.
fn guess(what: &str, allowed: &str) -> String {
    let found = what.trim_start_matches("unknown field ").trim_matches('`');
    let distance = |name: &&str| strsim::osa_distance(&found.to_lowercase(), &name.to_lowercase());
    let nearest = allowed.split([',', ' ']).filter(|name| !name.is_empty()).min_by_key(distance);
    let near = nearest.filter(|name| distance(name) <= 2 && name.len() > 3);
    near.map(|name| format!("did you mean {name}? ")).unwrap_or_default()
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

    #[test]
    fn errors_of_values_tell_what_was_found_and_what_is_allowed() {
        for (said, words) in [
            (
                "invalid value: integer `-5`, expected u16",
                "integer -5 is not allowed here: use a whole number from 0 to 65535",
            ),
            (
                "invalid type: map, expected a sequence",
                "map is not allowed here: use a list, each item in a line that begins with -",
            ),
            (
                "unknown variant `Fancy`, expected `Narrow` or `Wide`",
                "\"Fancy\" is not allowed here: use Narrow or Wide",
            ),
            ("unknown field `x`, expected one of `a`, `b`, `c`", "there is no such field here: use a, b, c"),
            (
                "unknown field `Intervall`, expected one of `format`, `interval`",
                "there is no such field here: did you mean interval? use format, interval",
            ),
            ("unknown field `x`, there are no fields", "there is no such field here: take it out"),
            ("missing field `name`", "is missing: add it"),
            ("\"x\" is not a length of time: write 10s", "\"x\" is not a length of time: write 10s"),
        ] {
            assert_eq!(of_value(said), words);
        }
    }

    #[test]
    fn errors_of_values_that_may_be_secret_do_not_repeat_them() {
        for (said, words) in [
            (
                "invalid type: string \"c2VjcmV0, expected \", expected u16",
                "this text is not allowed here: use",
            ),
            (
                "invalid type: string \"c2VjcmV0\", expected a sequence",
                "this text is not allowed here: use a list",
            ),
            (
                "invalid value: integer `-5`, expected u16",
                "integer -5 is not allowed here: use a whole number",
            ),
        ] {
            let text = of_secret_value(said);
            assert!(text.starts_with(words) && !text.contains("c2VjcmV0"), "{text}");
        }
    }

    #[test]
    fn errors_of_yaml_tell_what_to_do_and_repeat_no_value() {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only its errors matter")]
        struct Document {
            key: u32,
            list: Vec<bool>,
        }
        for (text, words) in [
            ("key: 1\nkey: 2", "\"key\" stands twice: keep one of them"),
            ("key: -1", "use a whole number from 0 to 4294967295"),
            ("key: secret", "use a whole number from 0 to 4294967295"),
            ("list: {a: secret}", "use a list, each item in a line that begins with -"),
            ("list: [secret]", "use true or false"),
            ("key: 1", "list is missing: add it"),
            ("key: *secrets", "there is no anchor of this name"),
            ("{key: 1, list: []}\n---\n", "a second document begins here"),
            ("", "the document is empty or ends too early"),
            ("key: [", "use a single value"),
            ("key: }", "this is no YAML"),
        ] {
            let said = of_yaml(&serde_saphyr::from_str::<Document>(text).unwrap_err());
            assert!(said.contains(words), "{text:?}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
