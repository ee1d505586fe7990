//! One problem in a document: the field, its place, and what to do. Pure.

use crate::document::position::{Position, Positions};

/// One problem: where, and what to do.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `devices[0].tags[2].source`; empty for the document itself.
    pub field: String,
    /// From which byte on `field` is not shown: it may be a secret in the wrong place.
    pub hidden_from: Option<usize>,
    /// Line and column, where there is a text.
    pub place: Option<Position>,
    /// Description of the problem, and the fix.
    pub message: String,
}

impl Problem {
    /// One whose place is not looked for yet.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), hidden_from: None, place: None, message: message.into() }
    }

    /// Returns whether the problem belongs to this field or to one that contains it.
    #[must_use]
    pub fn covers(&self, field: &str) -> bool {
        let rest = field.strip_prefix(&self.field);
        rest.is_some_and(|rest| rest.is_empty() || self.field.is_empty() || rest.starts_with(['.', '[']))
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.place.map(|place| format!(" ({place})")).unwrap_or_default();
        let field = self.hidden_from.map_or(Some(&*self.field), |from| self.field.get(..from));
        let unknown = if self.hidden_from.is_some() { "an unknown field of " } else { "" };
        match field.unwrap_or_default() {
            "" => write!(f, "{unknown}the document{place}: {}", self.message),
            field => write!(f, "{unknown}{field}{place}: {}", self.message),
        }
    }
}

impl std::fmt::Debug for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Problem({self})")
    }
}

/// Returns the number of problems, in words.
#[must_use]
pub fn count(problems: &[Problem]) -> String {
    if problems.len() == 1 { "a problem".to_owned() } else { format!("{} problems", problems.len()) }
}

/// Returns all problems in one line.
#[must_use]
pub fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// More fit into no log and no status.
const MOST: usize = 100;

/// Looks up the places of `problems` in the document, and puts them into its order: the first hundred, and how many more
/// there are.
#[must_use]
pub fn located(mut problems: Vec<Problem>, text: &str) -> Vec<Problem> {
    let places = Positions::of(text);
    for problem in &mut problems {
        problem.place = problem.place.or_else(|| places.find(&problem.field));
    }
    problems.sort_by_key(|problem| problem.place.map(|place| (place.line, place.column)));
    let more = problems.len().saturating_sub(MOST);
    if more > 0 {
        problems.truncate(MOST);
        problems.push(Problem::new("", format!("there are {more} more problems: fix these first")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut() {
        let problems = (0..250).rev().map(|at| Problem::new(format!("list[{at}]"), "wrong")).collect();
        let text = format!("list:\n{}", "- x\n".repeat(250));
        let problems = located(problems, &text);
        assert_eq!(problems.len(), 101);
        assert_eq!(problems[99].to_string(), "list[99] (line 101, column 3): wrong");
        assert_eq!(problems[100].to_string(), "the document: there are 150 more problems: fix these first");
    }
}
