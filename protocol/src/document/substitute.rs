//! Every problem of a document at once: what is wrong is noted and replaced by a stand-in, until all of it can be read. Pure.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::document::error_text;
use crate::document::problem::Problem;

/// Far more than anybody mends in one go; what is beyond is found the next time.
const MOST: usize = 100;
/// Numbers that are meant as texts cost a round each, too.
const ROUNDS: usize = 3 * MOST;

/// Gives a right value for a field that must be there, by its name and a number that is new each time; the others are
/// taken out where they are wrong.
pub type Substitute = fn(&str, usize) -> Option<Value>;

/// So many bytes of a secret in a row are a part of it, which no error repeats.
pub const PART: usize = 8;

/// Parts of a document that its errors may repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// Values and names.
    Repeated,
    /// Neither values nor names that no schema has: there are keys in the document, and one may stand in the wrong place.
    Hidden,
}

impl Disclosure {
    fn say(self, said: &str) -> String {
        match self {
            Self::Repeated => error_text::of_value(said),
            Self::Hidden => error_text::of_secret_value(said),
        }
    }
}

/// Reads `value` as a `T`. With the problems comes a `T` in which stand-ins are in the place of what is wrong, unless
/// there is no help for it.
pub fn read<T: DeserializeOwned>(
    mut value: Value,
    stand_in: Substitute,
    say: Disclosure,
) -> (Option<T>, Vec<Problem>) {
    let mut problems: Vec<Problem> = Vec::new();
    for round in 0..ROUNDS {
        if problems.len() == MOST {
            break;
        }
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) => return (Some(read), problems),
            Err(error) => error,
        };
        let said = error.inner().to_string();
        let missing = quoted(&said, "missing field ");
        let mut steps = steps(error.path());
        if let Some(name) = missing {
            steps.push(Step::Field(name.to_owned()));
        }
        if said.ends_with("expected a string") && to_text(&mut value, &steps) {
            continue;
        }
        let field = written(&steps);
        if problems.iter().any(|other| other.field == field) {
            break;
        }
        let mut problem = Problem::new(field, say.say(&said));
        let long = matches!(steps.last(), Some(Step::Field(name)) if name.len() >= PART);
        if say == Disclosure::Hidden && long && error_text::is_of_an_unlike_name(&problem.message) {
            problem.hidden_from = Some(written(&steps[..steps.len().saturating_sub(1)]).len());
        }
        problems.push(problem);
        if !replace(&mut value, &steps, |name| stand_in(name, round)) {
            break;
        }
    }
    (None, problems)
}

/// The path to a field, as everybody writes it.
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

fn quoted<'a>(said: &'a str, start: &str) -> Option<&'a str> {
    said.strip_prefix(start)?.strip_prefix('`')?.split_once('`').map(|(name, _)| name)
}

fn find<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Item(at) => value.get_mut(at),
    })
}

/// YAML's `deviceId: 17` is a text where a text is wanted, but a number to who does not know that.
fn to_text(value: &mut Value, steps: &[Step]) -> bool {
    match find(value, steps) {
        Some(found @ (Value::Number(_) | Value::Bool(_))) => {
            *found = Value::String(found.to_string());
            true
        }
        _ => false,
    }
}

/// Puts the stand-in there, or takes the field out.
fn replace(value: &mut Value, steps: &[Step], stand_in: impl Fn(&str) -> Option<Value>) -> bool {
    let Some((Step::Field(name), parents)) = steps.split_last() else { return false };
    let Some(Value::Object(fields)) = find(value, parents) else { return false };
    match stand_in(name) {
        Some(right) => fields.insert(name.clone(), right),
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

    fn stand_in(name: &str, _: usize) -> Option<Value> {
        (name == "number").then(|| json!(1))
    }

    #[test]
    fn all_problems_are_found_at_once() {
        let value = json!({"name": 17, "halls": [{"number": -1, "lit": "yes", "color": "red"}, {}]});
        let (plant, mut problems) = read::<Plant>(value, stand_in, Disclosure::Repeated);
        let halls = vec![Hall { number: 1, lit: false }, Hall { number: 1, lit: false }];
        assert_eq!(plant, Some(Plant { name: "17".to_owned(), halls }));
        problems.sort_by_key(|problem| problem.field.clone());
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["halls[0].color", "halls[0].lit", "halls[0].number", "halls[1].number"]);
    }

    #[test]
    fn value_without_substitute_is_reported_once() {
        let (plant, problems) = read::<Plant>(json!({"halls": []}), stand_in, Disclosure::Repeated);
        assert_eq!((plant, problems), (None, vec![Problem::new("name", "is missing: add it")]));
        let (plant, problems) =
            read::<Plant>(json!({"name": "a", "halls": ["x"]}), stand_in, Disclosure::Repeated);
        assert_eq!((plant, problems[0].field.as_str(), problems.len()), (None, "halls[0]", 1));
    }
}
