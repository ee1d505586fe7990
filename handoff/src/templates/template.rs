//! Templates as documents contain them, and ready to be written: a template that cannot be used is never one of these. Pure.

use serde::{Deserialize, Serialize};

use crate::templates::node;
use crate::templates::plan::Plan;
use crate::templates::problem::TemplateError;
use crate::templates::standard;
use crate::templates::texts::TemplateTexts;

/// A template, ready to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TemplateTexts", into = "TemplateTexts")]
pub struct Template {
    texts: TemplateTexts,
    plan: Plan,
}

impl Template {
    /// Makes a template ready.
    ///
    /// # Errors
    /// [`TemplateError`]: text, line and column, and what to write instead.
    pub fn new(texts: TemplateTexts) -> Result<Self, TemplateError> {
        let outline = match (&texts.advanced, &texts.standard) {
            (Some(advanced), None) => {
                node::read(advanced).map_err(|problem| problem.of("advanced", advanced))?
            }
            (None, Some(standard)) => standard::read(standard)?,
            _ => {
                let message = "set exactly one of advanced and standard".to_owned();
                return Err(TemplateError { text: "", position: None, message });
            }
        };
        Ok(Self { plan: Plan::of(&outline), texts })
    }

    /// Returns the template as it was written.
    #[must_use]
    pub const fn texts(&self) -> &TemplateTexts {
        &self.texts
    }

    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl TryFrom<TemplateTexts> for Template {
    type Error = TemplateError;

    fn try_from(texts: TemplateTexts) -> Result<Self, TemplateError> {
        Self::new(texts)
    }
}

impl From<Template> for TemplateTexts {
    fn from(template: Template) -> Self {
        template.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::render::{Sample, Writer};
    use crate::templates::texts::StandardTexts;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// As the reference has it (§3).
    const ADVANCED: &str = "{
 \"timestamp\": |SERVERTIMESTAMP|,
  \"values\": [
   |#each VALUES|
    {\"id\": \"|TAGNAME|\", \"v\": |VALUE|, \"q\": |QUALITY|, \"t\": |TIMESTAMP| } |#unless @last|,|/unless|
   |/each|
  ]
}
";
    /// As the vendor ships it for BACnet, one event a message (§3).
    const BACNET: &str = "|#each VALUES|
{\"gwy\": \"B121Kepware\", \"name\": \"|TAGNAME|\", \"value\": |VALUE|, \"status\": |QUALITY|, \
    \"value timestamp\": |TIMESTAMP|, \"publish timestamp\": \"|SERVERDATE|\"  } |#unless @last|,|/unless|
|/each|";
    const SERVER: i64 = 1_488_227_380_000;

    struct Event(&'static str, Value, bool, i64);

    impl Sample for Event {
        fn tag(&self) -> &str {
            self.0
        }
        fn value(&self, out: &mut Vec<u8>) {
            serde_json::to_writer(out, &self.1).unwrap();
        }
        fn good(&self) -> bool {
            self.2
        }
        fn time(&self) -> i64 {
            self.3
        }
    }

    fn advanced(text: &str) -> Template {
        Template::new(TemplateTexts { advanced: Some(text.to_owned()), ..TemplateTexts::default() }).unwrap()
    }

    fn standard(message: &str, values: &str) -> Template {
        let standard = StandardTexts { message: message.to_owned(), values: values.to_owned() };
        Template::new(TemplateTexts { standard: Some(standard), ..TemplateTexts::default() }).unwrap()
    }

    fn body(template: &Template, events: &[Event]) -> String {
        let mut out = Vec::new();
        let mut writer = Writer::open(template, &mut out, SERVER);
        for event in events {
            writer.event(&mut out, event);
        }
        let len = writer.length();
        writer.close(&mut out);
        assert_eq!(out.len(), len);
        String::from_utf8(out).unwrap()
    }

    fn ramp() -> [Event; 2] {
        [
            Event("Channel1.Device1.R1", json!(4084), true, 1_488_227_377_340),
            Event("Channel1.Device1.\"R2\"", json!("a \"b\""), false, 1_488_227_378_361),
        ]
    }

    #[test]
    fn the_vendors_advanced_templates_are_written_as_they_stand() {
        assert_eq!(
            body(&advanced(ADVANCED), &ramp()),
            concat!(
                "{\n \"timestamp\": 1488227380000,\n  \"values\": [\n   ",
                "\n    {\"id\": \"Channel1.Device1.R1\", \"v\": 4084, \"q\": true, \"t\": 1488227377340 } ,\n   ",
                "\n    {\"id\": \"Channel1.Device1.\\\"R2\\\"\", \"v\": \"a \\\"b\\\"\", \"q\": false, \"t\": 1488227378361 } \n   ",
                "\n  ]\n}\n"
            )
        );
        assert_eq!(
            body(&advanced(BACNET), &ramp()[..1]),
            concat!(
                "\n{\"gwy\": \"B121Kepware\", \"name\": \"Channel1.Device1.R1\", \"value\": 4084, \"status\": true, ",
                "\"value timestamp\": 1488227377340, \"publish timestamp\": \"2017-02-27T20:29:40.000Z\"  } \n"
            )
        );
        assert_eq!(advanced(ADVANCED).json_error(1000), None);
        assert_eq!(advanced(BACNET).json_error(1), None);
    }

    #[test]
    fn the_vendors_standard_template_gives_narrow() {
        let message = "timestamp: |SERVERTIMESTAMP|\r\nvalues: |VALUES|\r\n";
        let values = "id: |TAGNAME|\r\nv: |TAGVALUE|\r\nq: |TAGQUALITY|\r\nt: |TAGTIMESTAMP|\r\n";
        assert_eq!(
            body(&standard(message, values), &ramp()),
            concat!(
                r#"{"timestamp":1488227380000,"values":["#,
                r#"{"id":"Channel1.Device1.R1","v":4084,"q":true,"t":1488227377340},"#,
                r#"{"id":"Channel1.Device1.\"R2\"","v":"a \"b\"","q":false,"t":1488227378361}]}"#
            )
        );
        let more = standard(
            "line: 3 \"b\"\nvalues: |VALUES|\nat: |SERVERDATE|",
            "name: hall/|TAGNAME|\nv: |VALUE| bar||",
        );
        assert_eq!(
            body(&more, &ramp()[..1]),
            r#"{"line":"3 \"b\"","values":[{"name":"hall/Channel1.Device1.R1","v":"4084 bar|"}],"at":"2017-02-27T20:29:40.000Z"}"#
        );
        assert_eq!(more.json_error(1000), None);
    }

    #[test]
    fn every_variable_and_block_is_written() {
        let text = "|SERVERTIMESTAMP| |SERVERDATE|\n|#each VALUES||@index| |@first| |@last| |TAGNAME| |VALUE| |TAGVALUE| |QUALITY| \
                    |TAGQUALITY| |TIMESTAMP| |TAGTIMESTAMP| |DATE| |TAGDATE|;|#if @first|F|else|f|/if||#if @last|L|else|l|/if|\
                    |#unless @first|x|/unless||#if QUALITY|good|else|bad|/if||#unless QUALITY|!|/unless|\"|VALUE|\"||\n|/each|.";
        let events = [
            Event("a", json!([1, "x"]), true, 0),
            Event("b", json!("y"), false, -1),
            Event("c", json!(null), true, i64::MAX),
        ];
        assert_eq!(
            body(&advanced(text), &events),
            concat!(
                "1488227380000 2017-02-27T20:29:40.000Z\n",
                "0 true false a [1,\"x\"] [1,\"x\"] true true 0 0 1970-01-01T00:00:00.000Z \
                    1970-01-01T00:00:00.000Z;Flgood\"[1,\\\"x\\\"]\"|\n",
                "1 false false b \"y\" \"y\" false false -1 -1 1969-12-31T23:59:59.999Z 1969-12-31T23:59:59.999Z;flxbad!\"y\"|\n",
                "2 false true c null null true true 9223372036854775807 9223372036854775807 \
                    9999-12-30T22:00:00.999Z 9999-12-30T22:00:00.999Z;fLxgood\"null\"|\n.",
            )
        );
        assert_eq!(body(&advanced("[|#each VALUES|x|/each|]"), &[]), "[]");
        let oldest = [Event("a", json!(1), true, i64::MIN)];
        assert_eq!(body(&advanced("|#each VALUES||DATE||/each|"), &oldest), "-009999-01-02T01:59:59.000Z");
    }

    #[test]
    fn documents_have_texts_and_refuse_others() {
        let text = r#"{"advanced":"|#each VALUES||VALUE||/each|"}"#;
        let template: Template = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&template).unwrap(), text);
        for (text, words) in [
            ("{}", "set exactly one of advanced and standard"),
            (r#"{"advanced":"x","standard":{"message":"","values":""}}"#, "set exactly one"),
            (r#"{"advanced":"a\n b|VALUE|"}"#, "advanced, line 2, column 3: |VALUE| is of one event"),
        ] {
            let error = serde_json::from_str::<Template>(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        /// Whatever is tried and taken back, the body is that of the events that stay, and its length was known.
        #[test]
        fn events_can_be_taken_back(kept in proptest::collection::vec(any::<bool>(), 0..8)) {
            let item = r#"{"n": |@index|, "first": |@first|, "v": |VALUE|}"#;
            let template = advanced(&format!("[|#each VALUES|{item}|#unless @last|,|/unless||/each|]"));
            let mut out = Vec::new();
            let mut writer = Writer::open(&template, &mut out, SERVER);
            let event = |number: usize| Event("T", json!("x".repeat(number * 3)), number.is_multiple_of(2), number as i64);
            for (number, keep) in kept.iter().enumerate() {
                let before = (out.len(), writer.length());
                writer.event(&mut out, &event(number));
                if !keep {
                    writer.take_back(&mut out, before.0);
                    prop_assert_eq!(writer.length(), before.1);
                }
            }
            let len = writer.length();
            writer.close(&mut out);
            let stay: Vec<_> = (0..kept.len()).filter(|&number| kept[number]).map(event).collect();
            prop_assert_eq!(String::from_utf8(out.clone()).unwrap(), body(&template, &stay));
            prop_assert_eq!(out.len(), len);
            prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
        }
    }
}
