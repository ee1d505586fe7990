//! Error of a template: text, line and column, and the fix. Pure.

use lanyard_protocol::document::position::Position;

/// Error of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", at(.text, .position))]
pub struct TemplateError {
    /// Text of the template: `advanced`, `standard.message` or `standard.values`; empty for the template itself.
    pub text: &'static str,
    /// Position in the text.
    pub position: Option<Position>,
    /// Description of the problem, and the fix.
    pub message: String,
}

fn at(text: &str, position: &Option<Position>) -> String {
    match (text, position) {
        ("", _) => String::new(),
        (text, None) => format!("{text}: "),
        (text, Some(position)) => format!("{text}, {position}: "),
    }
}

/// Error at a position in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorAt {
    pub(super) at: usize,
    pub(super) message: String,
}

impl ErrorAt {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// Converts the position to line and column.
    pub(super) fn of(self, name: &'static str, text: &str) -> TemplateError {
        TemplateError { text: name, position: Some(position(text, self.at)), message: self.message }
    }
}

/// Returns line and column of a byte, in characters, from 1.
fn position(text: &str, at: usize) -> Position {
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
