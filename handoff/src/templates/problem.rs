//! Error of a template: text, line and column, and the fix. Pure.

use lanyard_protocol::document::position::Position;

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", at(.text, .place))]
pub struct TemplateError {
    /// Text of the template: `advanced`, `standard.message` or `standard.values`; empty for the template itself.
    pub text: &'static str,
    /// Position in the text.
    pub place: Option<Position>,
    /// Description of the problem, and the fix.
    pub message: String,
}

fn at(text: &str, place: &Option<Position>) -> String {
    match (text, place) {
        ("", _) => String::new(),
        (text, None) => format!("{text}: "),
        (text, Some(place)) => format!("{text}, {place}: "),
    }
}

/// A problem at a byte of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorAt {
    pub(super) at: usize,
    pub(super) message: String,
}

impl ErrorAt {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// With line and column in `text`.
    pub(super) fn of(self, name: &'static str, text: &str) -> TemplateError {
        TemplateError { text: name, place: Some(place(text, self.at)), message: self.message }
    }
}

/// Line and column of a byte, counted from 1 and in characters.
fn place(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let count = |characters: usize| characters as u64 + 1;
    Position { line: count(before.matches('\n').count()), column: count(line.chars().count()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_characters() {
        let text = "a\nä|x";
        let error = ErrorAt::new(4, "wrong").of("advanced", text);
        assert_eq!(error.to_string(), "advanced, line 2, column 2: wrong");
    }
}
