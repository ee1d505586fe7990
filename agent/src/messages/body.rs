//! A message's body while it grows: as Kepware's gateway writes it, or from a template. Its length, if it
//! ended now, is always known. Pure.

use bytes::Bytes;
use lanyard_handoff::templates::render::Writer;
use lanyard_handoff::templates::template::Template;

use crate::buffer::record::EventRef;
use crate::messages::json;

/// A body while it grows.
pub(super) struct Body<'t> {
    bytes: Vec<u8>,
    /// Position of the newest event.
    newest: usize,
    form: Form<'t>,
}

enum Form<'t> {
    Kepware { empty: bool, time: json::Time },
    Template(Writer<'t>),
}

impl<'t> Body<'t> {
    /// Begins a body of a message made at `timestamp`, in milliseconds since 1970-01-01T00:00:00Z, that will be about
    /// `expected` bytes long.
    pub(super) fn open(template: Option<&'t Template>, timestamp: i64, expected: usize) -> Self {
        let mut bytes = Vec::with_capacity(expected);
        let form = match template {
            Some(template) => Form::Template(Writer::open(template, &mut bytes, timestamp)),
            None => {
                json::open(&mut bytes, timestamp);
                Form::Kepware { empty: true, time: json::Time::default() }
            }
        };
        Self { newest: bytes.len(), bytes, form }
    }

    /// Adds an event.
    pub(super) fn event(&mut self, event: &EventRef<'_>) {
        self.newest = self.bytes.len();
        match &mut self.form {
            Form::Kepware { empty, time } => {
                if !std::mem::replace(empty, false) {
                    self.bytes.push(b',');
                }
                json::event(&mut self.bytes, event, time);
            }
            Form::Template(writer) => writer.event(&mut self.bytes, event),
        }
    }

    /// Returns the length of the body in bytes if it ends now.
    pub(super) fn length(&self) -> usize {
        match &self.form {
            Form::Kepware { .. } => self.bytes.len() + json::CLOSE.len(),
            Form::Template(writer) => writer.length(),
        }
    }

    /// Ends the body without the newest event, which is not the only one.
    pub(super) fn close_without_newest(mut self) -> Bytes {
        match &mut self.form {
            Form::Kepware { .. } => self.bytes.truncate(self.newest),
            Form::Template(writer) => writer.take_back(&mut self.bytes, self.newest),
        }
        self.close()
    }

    /// Ends the body and returns it.
    pub(super) fn close(mut self) -> Bytes {
        match self.form {
            Form::Kepware { .. } => self.bytes.extend_from_slice(json::CLOSE),
            Form::Template(writer) => writer.close(&mut self.bytes),
        }
        Bytes::from(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::record::ValueRef;
    use lanyard_handoff::templates::texts::{StandardTexts, TemplateTexts};
    use proptest::prelude::*;
    use serde_json::Value;

    const EACH: &str = "{\"i\": |@index|, \"id\": \"|TAGNAME|\", \"v\": |VALUE|, \"text\": \"|VALUE|\", \"q\": |QUALITY|, \
                        \"t\": |TIMESTAMP|, \"d\": \"|DATE|\"}|#unless @last|,|/unless|";

    fn advanced() -> Template {
        let text = format!("{{\"timestamp\": |SERVERTIMESTAMP|, \"values\": [|#each VALUES|{EACH}|/each|]}}");
        Template::new(TemplateTexts { advanced: Some(text), standard: None }).unwrap()
    }

    fn standard() -> Template {
        let message = "timestamp: |SERVERTIMESTAMP|\nvalues: |VALUES|".to_owned();
        let values = "id: |TAGNAME|\nv: |TAGVALUE|\nq: |TAGQUALITY|\nt: |TAGTIMESTAMP|".to_owned();
        Template::new(TemplateTexts { advanced: None, standard: Some(StandardTexts { message, values }) })
            .unwrap()
    }

    #[derive(Debug, Clone)]
    enum Given {
        Null,
        Boolean(bool),
        Integer(i64),
        Unsigned(u64),
        Double(f64),
        Text(String),
    }

    fn given() -> impl Strategy<Value = Given> {
        prop_oneof![
            Just(Given::Null),
            any::<bool>().prop_map(Given::Boolean),
            any::<i64>().prop_map(Given::Integer),
            any::<u64>().prop_map(Given::Unsigned),
            any::<f64>().prop_map(Given::Double),
            any_text().prop_map(Given::Text),
        ]
    }

    /// Generates texts with every character that JSON escapes, and some that take several bytes.
    fn any_text() -> impl Strategy<Value = String> {
        "(\\PC|[\\x00-\\x1f\"\\\\/\u{7f}\u{e9}\u{1f600}]){0,12}"
    }

    fn value_ref(given: &Given) -> ValueRef<'_> {
        match given {
            Given::Null => ValueRef::Null,
            Given::Boolean(boolean) => ValueRef::Boolean(*boolean),
            Given::Integer(number) => ValueRef::Integer(*number),
            Given::Unsigned(number) => ValueRef::Unsigned(*number),
            Given::Double(number) => ValueRef::Double(*number),
            Given::Text(text) => ValueRef::Text(text),
        }
    }

    fn reads_as(read: &Value, given: &Given) -> bool {
        match given {
            Given::Null => read.is_null(),
            Given::Boolean(boolean) => read == boolean,
            Given::Integer(number) => read == number,
            Given::Unsigned(number) => read == number,
            // This reader rounds in the last place.
            Given::Double(number) if number.is_finite() => {
                read.as_f64().is_some_and(|read| (read - number).abs() <= number.abs() * 1e-15)
            }
            Given::Double(_) => read.is_null(),
            Given::Text(text) => read == text,
        }
    }

    type Row = (String, Given, bool, i64);

    fn write(template: Option<&Template>, rows: &[Row], without_newest: bool) -> Bytes {
        let mut body = Body::open(template, 1_488_227_380_000, 0);
        for (tag, value, good, time) in rows {
            body.event(&EventRef {
                tag,
                value: value_ref(value),
                good: *good,
                continues: false,
                time: *time,
            });
        }
        let length = body.length();
        if without_newest {
            return body.close_without_newest();
        }
        let bytes = body.close();
        assert_eq!(bytes.len(), length);
        bytes
    }

    proptest! {
        /// Another reader finds what was given, however it is written, and with one event more taken back.
        #[test]
        fn any_events_read_back(rows in proptest::collection::vec((any_text(), given(), any::<bool>(), any::<i64>()), 1..6)) {
            let (advanced, standard) = (advanced(), standard());
            for (template, fields) in [(None, 4), (Some(&standard), 4), (Some(&advanced), 7)] {
                for without_newest in [false, rows.len() > 1] {
                    let body = write(template, &rows, without_newest);
                    let read: Value = serde_json::from_slice(&body).unwrap();
                    prop_assert_eq!(&read["timestamp"], &Value::from(1_488_227_380_000_i64));
                    let kept = &rows[..rows.len() - usize::from(without_newest)];
                    prop_assert_eq!(read["values"].as_array().unwrap().len(), kept.len());
                    for (place, (tag, value, good, time)) in kept.iter().enumerate() {
                        let row = &read["values"][place];
                        prop_assert_eq!(row.as_object().unwrap().len(), fields);
                        prop_assert_eq!((&row["id"], &row["q"], &row["t"]), (&Value::from(tag.as_str()),
                            &Value::from(*good), &Value::from(*time)));
                        prop_assert!(reads_as(&row["v"], value), "{}: {value:?}", row["v"]);
                        if fields == 7 {
                            prop_assert_eq!(&row["i"], &Value::from(place));
                            match value {
                                Given::Text(text) => prop_assert_eq!(row["text"].as_str(), Some(text.as_str())),
                                other => prop_assert_eq!(reads_as(&serde_json::from_str(row["text"].as_str().unwrap()).unwrap(), other), true),
                            }
                        }
                    }
                }
            }
            prop_assert_eq!(write(None, &rows, false), write(Some(&standard), &rows, false));
        }
    }
}
