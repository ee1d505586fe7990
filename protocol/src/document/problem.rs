//! Problem in a document: field, position, message with the fix. Pure.

use crate::document::position::{Position, Positions};

/// Problem in a document.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, such as `devices[0].tags[2].source`; empty for the document itself.
    pub field: String,
    /// Position in `field` after which it is not shown, because the rest may be a secret in the wrong place.
    pub hidden_from: Option<usize>,
    /// Line and column, if they are known.
    pub position: Option<Position>,
    /// Description of the problem, and the fix.
    pub message: String,
}

impl Problem {
    /// Returns a problem without a position.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), hidden_from: None, position: None, message: message.into() }
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
        let position = self.position.map(|position| format!(" ({position})")).unwrap_or_default();
        let field = self.hidden_from.map_or(Some(&*self.field), |from| self.field.get(..from));
        let unknown = if self.hidden_from.is_some() { "an unknown field of " } else { "" };
        match field.unwrap_or_default() {
            "" => write!(f, "{unknown}the document{position}: {}", self.message),
            field => write!(f, "{unknown}{field}{position}: {}", self.message),
        }
    }
}

impl std::fmt::Debug for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Problem({self})")
    }
}

/// Returns the number of problems as text.
#[must_use]
pub fn count(problems: &[Problem]) -> String {
    if problems.len() == 1 { "a problem".to_owned() } else { format!("{} problems", problems.len()) }
}

/// Returns all problems in one line.
#[must_use]
pub fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// Maximum number of problems in a report: more do not fit into a log or a status.
const MAX_PROBLEMS: usize = 100;

/// Adds the positions of the problems and sorts them by position. Returns at most a hundred, and the number of the others.
#[must_use]
pub fn located(mut problems: Vec<Problem>, text: &str) -> Vec<Problem> {
    let positions = Positions::of(text);
    for problem in &mut problems {
        problem.position = problem.position.or_else(|| positions.find(&problem.field));
    }
    problems.sort_by_key(|problem| problem.position.map(|position| (position.line, position.column)));
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        problems.truncate(MAX_PROBLEMS);
        problems.push(Problem::new("", format!("there are {more} more problems: fix these first")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_covers_its_field_and_the_fields_inside() {
        let covers = |problem: &str, field: &str| Problem::new(problem, "wrong").covers(field);
        for field in ["list[1]", "list[1].name", "list[1][2]"] {
            assert!(covers("list[1]", field), "{field}");
        }
        for field in ["list", "list[10]", "other", "list[1]name"] {
            assert!(!covers("list[1]", field), "{field}");
        }
        assert!(covers("", "list"), "a problem of the document covers every field");
    }

    #[test]
    fn problems_are_counted_and_listed_in_one_line() {
        let problems = [Problem::new("a", "wrong"), Problem::new("b", "missing")];
        assert_eq!(
            (count(&problems[..1]), count(&problems)),
            ("a problem".to_owned(), "2 problems".to_owned())
        );
        assert_eq!(list(&problems), "a: wrong; b: missing");
        assert_eq!(format!("{:?}", problems[0]), "Problem(a: wrong)");
    }

    #[test]
    fn report_has_at_most_a_hundred_problems() {
        assert_eq!(located(vec![Problem::new("", "wrong"); 100], "").len(), 100);
        let problems = (0..250).rev().map(|at| Problem::new(format!("list[{at}]"), "wrong")).collect();
        let text = format!("list:\n{}", "- x\n".repeat(250));
        let problems = located(problems, &text);
        assert_eq!(problems.len(), 101);
        assert_eq!(problems[99].to_string(), "list[99] (line 101, column 3): wrong");
        assert_eq!(problems[100].to_string(), "the document: there are 150 more problems: fix these first");
    }
}
