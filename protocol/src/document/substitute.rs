//! All problems of a document at once: each invalid value is reported and replaced by a valid one. Pure.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::document::error_text;
use crate::document::problem::Problem;
use crate::document::value::ValueDeserializer;
use crate::document::value_error::ValueError;

/// Maximum number of problems in one report.
const MAX_PROBLEMS: usize = 100;
/// Maximum number of attempts to read the document. Numbers that are meant as texts need one each, too.
const MAX_ATTEMPTS: usize = 3 * MAX_PROBLEMS;

/// Function that returns a valid value for a required field, from its name and the number of the attempt. Other invalid fields are
/// removed.
pub type Substitute = fn(&str, usize) -> Option<Value>;

/// Number of successive bytes of a secret that no error repeats.
pub const PART: usize = 8;

/// Disclosure of a document's content by its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// Errors repeat values and names.
    Repeated,
    /// Errors repeat neither values nor unknown names: the document contains keys, and one may be in the wrong place.
    Hidden,
}

impl Disclosure {
    fn message(self, error: &ValueError) -> String {
        match self {
            Self::Repeated => error_text::of_value(error),
            Self::Hidden => error_text::of_secret_value(error),
        }
    }
}

/// Reads `value` as a `T`. Beside the problems it returns a `T` with substitutes in place of the invalid values, if
/// there is a substitute for each.
pub fn read<T: DeserializeOwned>(
    mut value: Value,
    substitute: Substitute,
    disclosure: Disclosure,
) -> (Option<T>, Vec<Problem>) {
    let mut problems: Vec<Problem> = Vec::new();
    for attempt in 0..MAX_ATTEMPTS {
        if problems.len() == MAX_PROBLEMS {
            break;
        }
        let error = match serde_path_to_error::deserialize::<_, T>(ValueDeserializer(&value)) {
            Ok(read) => return (Some(read), problems),
            Err(error) => error,
        };
        let mut steps = steps(error.path());
        let error = error.into_inner();
        if let ValueError::MissingField(name) = error {
            steps.push(Step::Field(name.to_owned()));
        }
        // The description of a string type comes from serde; `numbers_are_read_as_texts` fails when it changes.
        if matches!(&error, ValueError::Mismatch { expected, .. } if expected == "a string")
            && to_text(&mut value, &steps)
        {
            continue;
        }
        let field = written(&steps);
        if problems.iter().any(|other| other.field == field) {
            break;
        }
        let mut problem = Problem::new(field, disclosure.message(&error));
        // A long unknown name may be a key in the wrong place, unless it resembles a known name.
        if disclosure == Disclosure::Hidden
            && let ValueError::UnknownField { found, allowed } = &error
            && found.len() >= PART
            && error_text::nearest(found, allowed).is_none()
        {
            problem.hidden_from = Some(written(&steps[..steps.len().saturating_sub(1)]).len());
        }
        problems.push(problem);
        if !replace(&mut value, &steps, |name| substitute(name, attempt)) {
            break;
        }
    }
    (None, problems)
}

/// Returns the path to a field, such as `devices[0].name`.
#[must_use]
pub fn path(path: &Path) -> String {
    written(&steps(path))
}

#[derive(Debug)]
enum Step {
    Field(String),
    Item(usize),
}

fn steps(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Step::Field(key.clone())),
        Segment::Seq { index } => Some(Step::Item(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

fn written(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Item(at) => text.push_str(&format!("[{at}]")),
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text.extend([".", name]),
        }
    }
    text
}

fn find<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Item(at) => value.get_mut(at),
    })
}

/// Replaces a number or boolean by its text: YAML's `deviceId: 17` is a text if the field is one.
fn to_text(value: &mut Value, steps: &[Step]) -> bool {
    match find(value, steps) {
        Some(found @ (Value::Number(_) | Value::Bool(_))) => {
            *found = Value::String(found.to_string());
            true
        }
        _ => false,
    }
}

/// Replaces a field by its substitute, or removes it.
fn replace(value: &mut Value, steps: &[Step], substitute: impl Fn(&str) -> Option<Value>) -> bool {
    let Some((Step::Field(name), parents)) = steps.split_last() else { return false };
    let Some(Value::Object(fields)) = find(value, parents) else { return false };
    match substitute(name) {
        Some(valid) => fields.insert(name.clone(), valid),
        None => fields.remove(name),
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Plant {
        name: String,
        halls: Vec<Hall>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Hall {
        number: u8,
        #[serde(default)]
        lit: bool,
    }

    fn substitute(name: &str, _: usize) -> Option<Value> {
        (name == "number").then(|| json!(1))
    }

    #[test]
    fn all_problems_are_found_at_once() {
        let value = json!({"name": 17, "halls": [{"number": -1, "lit": "yes", "color": "red"}, {}]});
        let (plant, mut problems) = read::<Plant>(value, substitute, Disclosure::Repeated);
        let halls = vec![Hall { number: 1, lit: false }, Hall { number: 1, lit: false }];
        assert_eq!(plant, Some(Plant { name: "17".to_owned(), halls }));
        problems.sort_by_key(|problem| problem.field.clone());
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["halls[0].color", "halls[0].lit", "halls[0].number", "halls[1].number"]);
    }

    #[test]
    fn path_is_written_as_in_a_problem() {
        let value = json!({"name": "a", "halls": [{"number": 1}, {"number": "x"}]});
        let error = serde_path_to_error::deserialize::<_, Plant>(ValueDeserializer(&value)).unwrap_err();
        assert_eq!(path(error.path()), "halls[1].number");
    }

    #[test]
    fn numbers_are_read_as_texts() {
        let value = json!({"name": true, "halls": []});
        let (plant, problems) = read::<Plant>(value, substitute, Disclosure::Repeated);
        assert_eq!(plant, Some(Plant { name: "true".to_owned(), halls: vec![] }));
        assert_eq!(problems, []);
    }

    #[test]
    fn long_unknown_name_is_hidden_unless_it_resembles_a_field() {
        let hidden = |name: &str| {
            let value = json!({"name": "a", "halls": [{"number": 1, name: 1}]});
            let (_, problems) = read::<Plant>(value, substitute, Disclosure::Hidden);
            problems.into_iter().map(|problem| problem.hidden_from).collect::<Vec<_>>()
        };
        assert_eq!(hidden("c2VjcmV0"), [Some("halls[0]".len())]);
        assert_eq!(hidden("numberss"), [None], "resembles number");
        assert_eq!(hidden("c2VjcmV"), [None], "shorter than a part of a key");
    }

    #[test]
    fn value_without_substitute_is_reported_once() {
        let (plant, problems) = read::<Plant>(json!({"halls": []}), substitute, Disclosure::Repeated);
        assert_eq!((plant, problems), (None, vec![Problem::new("name", "is missing: add it")]));
        let (plant, problems) =
            read::<Plant>(json!({"name": "a", "halls": ["x"]}), substitute, Disclosure::Repeated);
        assert_eq!((plant, problems[0].field.as_str(), problems.len()), (None, "halls[0]", 1));
    }
}
