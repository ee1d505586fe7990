//! Checks that many fields share: required values, and values from a fixed list. Pure.

use super::problems::Problems;
use lanyard_protocol::document::substitute::PART;

/// Returns the path of `name` in `field`; `field` is empty at the top of a document.
#[must_use]
pub fn at(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

/// Parses the value of a required field; notes a problem if it is missing or wrong.
pub fn required<T, E: std::fmt::Display>(
    text: Option<&str>,
    field: &str,
    problems: &mut Problems,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    match text {
        Some(text) => problems.take(field, parse(text)),
        None => {
            problems.note(field, "is missing: add it");
            None
        }
    }
}

/// Returns the value for a name; none if the name is missing or unknown.
pub fn choice<T: Copy>(
    word: Option<&str>,
    field: &str,
    problems: &mut Problems,
    words: &[(&str, T)],
) -> Option<T> {
    let word = word?;
    let found = words.iter().find(|(name, _)| *name == word).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        // A longer one may be a key in the wrong place.
        let found = if word.len() < PART { format!("{word:?}") } else { "this word".to_owned() };
        problems.note(field, format!("{found} is not supported: use {}", or(&names)));
    }
    found
}

/// Returns whether a status is enabled; none if it is missing or unknown.
pub fn enabled(status: Option<&str>, field: &str, problems: &mut Problems) -> Option<bool> {
    choice(status, field, problems, &[("enabled", true), ("disabled", false)])
}

/// Joins names, as in `a, b or c`.
fn or(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}
