//! Everything that is wrong with a configuration, each with the field, its place and the fix. Pure.

use std::fmt;

use lanyard_protocol::document::problem::{Problem, located};

/// All problems of one document.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Creates a list of problems that were found already.
    #[must_use]
    pub const fn of(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// Notes one: where, and what to do about it. What follows from another problem of the same place is none.
    pub fn note(&mut self, field: impl fmt::Display, problem: impl fmt::Display) {
        let field = field.to_string();
        let is_covered = |found: &Problem| found.field != field && found.covers(&field);
        if !self.0.iter().any(is_covered) {
            self.0.push(Problem::new(field, problem.to_string()));
        }
    }

    /// Notes one unless there is a value, and hands it on.
    pub fn take<T, E: fmt::Display>(&mut self, field: impl fmt::Display, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.note(field, error)).ok()
    }

    /// Returns whether there are no problems.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the problems with their places, in the order of the text.
    #[must_use]
    pub fn located(self, text: &str) -> Self {
        Self(located(self.0, text))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}
