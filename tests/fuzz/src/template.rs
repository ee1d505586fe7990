//! Templates of messages.

use lanyard_handoff::templates::render::{Sample, Writer};
use lanyard_handoff::templates::template::Template;
use lanyard_handoff::templates::texts::{StandardTexts, TemplateTexts};

const TIME: i64 = 1_488_227_377_340;

struct Event(usize);

impl Sample for Event {
    fn tag(&self) -> &str {
        "Line 1.\"Press\""
    }
    fn value(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(["1", "\"say \\\"hi\\\"\"", "[false,null]"][self.0 % 3].as_bytes());
    }
    fn good(&self) -> bool {
        self.0.is_multiple_of(2)
    }
    fn time(&self) -> i64 {
        TIME + self.0 as i64
    }
}

fn body(template: &Template, events: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::open(template, &mut out, TIME);
    (0..events).for_each(|number| writer.event(&mut out, &Event(number)));
    let length = writer.length();
    writer.close(&mut out);
    assert_eq!(out.len(), length, "the writer knows the length");
    out
}

/// Reads a text, or two texts with a zero between them, as a template. The writer knows the length of the body before its
/// end, removes an event completely, and writes JSON if the check says so.
///
/// # Panics
/// If this is not so.
pub fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let texts = match text.split_once('\0') {
        Some((message, values)) => {
            let standard = StandardTexts { message: message.to_owned(), values: values.to_owned() };
            TemplateTexts { advanced: None, standard: Some(standard) }
        }
        None => TemplateTexts { advanced: Some(text.to_owned()), standard: None },
    };
    let Ok(template) = Template::new(texts) else { return };
    let written = serde_json::to_string(&template).expect("texts can be written");
    assert!(serde_json::from_str::<Template>(&written).is_ok_and(|again| again == template));
    let is_json = template.json_error(3).is_none();
    for events in 1..4 {
        let whole = body(&template, events);
        assert!(
            !is_json || serde_json::from_slice::<serde_json::Value>(&whole).is_ok(),
            "{events} events are not JSON"
        );
        let mut out = Vec::new();
        let mut writer = Writer::open(&template, &mut out, TIME);
        (0..events).for_each(|number| writer.event(&mut out, &Event(number)));
        let before = (out.len(), writer.length());
        writer.event(&mut out, &Event(events));
        writer.take_back(&mut out, before.0);
        assert_eq!(writer.length(), before.1);
        writer.close(&mut out);
        assert_eq!(out, whole, "a removed event changes nothing");
    }
}
