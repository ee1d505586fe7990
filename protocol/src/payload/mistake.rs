//! What is wrong in a template: which text, line and column, and what to write instead. Pure.

use crate::document::place::Place;

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", at(.text, .place))]
pub struct TemplateError {
    /// Which of a template's texts: `advanced`, `standard.message` or `standard.values`; empty for the template itself.
    pub text: &'static str,
    /// Where in it.
    pub place: Option<Place>,
    /// What is wrong and how to mend it.
    pub message: String,
}

fn at(text: &str, place: &Option<Place>) -> String {
    match (text, place) {
        ("", _) => String::new(),
        (text, None) => format!("{text}: "),
        (text, Some(place)) => format!("{text}, {place}: "),
    }
}

/// A mistake at a byte of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) at: usize,
    pub(super) message: String,
}

impl Mistake {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// With line and column in `text`.
    pub(super) fn of(self, name: &'static str, text: &str) -> TemplateError {
        TemplateError { text: name, place: Some(place(text, self.at)), message: self.message }
    }
}

/// Line and column of a byte, counted from 1 and in characters.
fn place(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let count = |characters: usize| characters as u64 + 1;
    Place { line: count(before.matches('\n').count()), column: count(line.chars().count()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_characters() {
        let text = "a\nä|x";
        let error = Mistake::new(4, "wrong").of("advanced", text);
        assert_eq!(error.to_string(), "advanced, line 2, column 2: wrong");
    }
}
