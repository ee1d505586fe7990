//! Check that a template produces JSON: it renders sample events and parses the result. Pure.

use serde_json::Value;

use crate::templates::plan::{Item, Piece};
use crate::templates::problem::{ErrorAt, TemplateError};
use crate::templates::render::{Context, Sample};
use crate::templates::template::Template;

/// Sample values of all kinds.
const VALUES: [&str; 3] = ["1", "\"say \\\"hi\\\"\"", "[false,null]"];
/// Time of the sample events.
const TIME: i64 = 1_488_227_380_000;

impl Template {
    /// Returns the error if messages of up to `most` events are not JSON.
    #[must_use]
    pub fn json_error(&self, most: u32) -> Option<TemplateError> {
        let counts = (1..=3).filter(|&count| count <= most.max(1));
        let mut trials = counts.flat_map(|count| [(count, true), (count, false)]);
        trials.find_map(|(count, good)| {
            let trial = Trial::of(self, count, good);
            let error = serde_json::from_slice::<Value>(&trial.body).err()?;
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            let events = if count == 1 { "one event".to_owned() } else { format!("{count} events") };
            let comma = "write |#unless @last|,|/unless| between events in a list, set maxEvents: 1, ";
            let fix = if count > 1 { comma } else { "correct it, " };
            let message = format!(
                "a message with {events} is not JSON from here on: {text}; {fix}or set another contentType"
            );
            let problem = ErrorAt::new(trial.origin(error.line(), error.column()), message);
            Some(match (&self.texts().advanced, &self.texts().standard) {
                (Some(text), _) => problem.of("advanced", text),
                _ => TemplateError { text: "standard", position: None, message: problem.message },
            })
        })
    }
}

/// Body with the origin of each of its parts in the template.
struct Trial {
    body: Vec<u8>,
    /// Start of a part in the body, its start in the template, and whether the part is a copy.
    parts: Vec<(usize, usize, bool)>,
}

struct One(usize, bool);

impl Sample for One {
    fn tag(&self) -> &str {
        "Line 1.\"Press\""
    }
    fn value(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(VALUES.get(self.0 % VALUES.len()).unwrap_or(&"null").as_bytes());
    }
    fn good(&self) -> bool {
        self.1
    }
    fn time(&self) -> i64 {
        TIME
    }
}

impl Trial {
    fn of(template: &Template, count: u32, good: bool) -> Self {
        let mut trial = Self { body: Vec::new(), parts: Vec::new() };
        let plan = template.plan();
        trial.write(&plan.head, &One(0, good), 0);
        for index in 0..count {
            let Item { shared, more, last } = if index == 0 { &plan.first } else { &plan.others };
            let event = One(index as usize, good);
            trial.write(shared, &event, index);
            trial.write(if index + 1 == count { last } else { more }, &event, index);
        }
        trial.write(&plan.tail, &One(0, good), 0);
        trial
    }

    fn write(&mut self, pieces: &[Piece], event: &One, index: u32) {
        for piece in pieces {
            match piece {
                Piece::Text { at, text } => {
                    self.parts.push((self.body.len(), *at, true));
                    self.body.extend_from_slice(text.as_bytes());
                }
                Piece::Put { at, variable, quoted } => {
                    self.parts.push((self.body.len(), *at, false));
                    let moment = Context { server: TIME, index: index.into(), event };
                    moment.put(&mut self.body, *variable, *quoted);
                }
                Piece::ByQuality { good, bad } => self.write(if event.1 { good } else { bad }, event, index),
            }
        }
    }

    /// Returns the position in the template for a position in the body.
    fn origin(&self, line: usize, column: usize) -> usize {
        let lines = self.body.split_inclusive(|&byte| byte == b'\n');
        let before: usize = lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
        let place = before + column.saturating_sub(1);
        let part = self.parts.iter().rev().find(|(start, ..)| *start <= place);
        part.map_or(0, |(start, at, copied)| if *copied { at + (place - start) } else { *at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::texts::TemplateTexts;

    fn problem(text: &str, most: u32) -> Option<String> {
        let template =
            Template::new(TemplateTexts { advanced: Some(text.to_owned()), ..TemplateTexts::default() })
                .unwrap();
        template.json_error(most).map(|error| error.to_string())
    }

    #[test]
    fn invalid_json_is_reported_with_its_position() {
        for (text, most, expected) in [
            (
                "{\n \"v\": [|#each VALUES||VALUE||/each|]}",
                9,
                "advanced, line 2, column 22: a message with 2 events is not JSON",
            ),
            (
                "[|#each VALUES||TAGNAME|,|/each|]",
                9,
                "advanced, line 1, column 16: a message with one event is not JSON",
            ),
            (
                "[|#each VALUES|{\"a\" |VALUE|}|/each|]",
                9,
                "advanced, line 1, column 21: a message with one event",
            ),
            (
                "{|#each VALUES|\"|TAGNAME|\": |VALUE||/each|",
                1,
                "advanced, line 1, column 29: a message with one event",
            ),
            (
                "[|#each VALUES||#if QUALITY|1|else|x|/if||#unless @last|,|/unless||/each|]",
                9,
                "advanced, line 1, column 36: a message with one event",
            ),
            (
                "{\"a\": 1,\n\"b\": x|#each VALUES||VALUE||/each|}",
                9,
                "advanced, line 2, column 6: a message with one event",
            ),
            (
                "[|#each VALUES||#if @first|1|else|,x|/if||/each|]",
                9,
                "advanced, line 1, column 36: a message with 2 events",
            ),
        ] {
            let problem = problem(text, most).unwrap();
            assert!(problem.starts_with(expected), "{text}\n{problem}\n{expected}");
        }
        assert_eq!(problem("|#each VALUES|{\"v\": |VALUE|}|/each|", 1), None);
        let alone = problem("[|#each VALUES|x|/each|]", 1).unwrap();
        assert!(alone.ends_with("; correct it, or set another contentType"), "{alone}");
        assert!(problem("|#each VALUES|{\"v\": |VALUE|}|/each|", 2).unwrap().contains("set maxEvents: 1"));
        assert_eq!(
            problem("[|#each VALUES|\"|VALUE| of |TAGNAME|\"|#unless @last|,|/unless||/each|]", 9),
            None
        );
    }
}
