//! Level: protocol. Writing an event from a template takes no memory but the body's own.

use lanyard_handoff::templates::render::{Sample, Writer};
use lanyard_handoff::templates::template::Template;
use lanyard_handoff::templates::texts::{StandardTexts, TemplateTexts};

struct Event(i64);

impl Sample for Event {
    fn tag(&self) -> &str {
        "Channel1.Device1.\"Ramp\""
    }
    fn value(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.0 % 2 == 0 { b"\"say \\\"hi\\\"\"" } else { b"[1.5,\"a\"]" });
    }
    fn good(&self) -> bool {
        self.0 % 3 == 0
    }
    fn time(&self) -> i64 {
        1_488_227_380_000 + self.0
    }
}

#[test]
fn an_event_takes_no_memory_of_its_own() {
    let advanced = "[|#each VALUES|[|@index|,\"|TAGNAME|\",|VALUE|,\"|VALUE|\",|QUALITY|,|TIMESTAMP|,\"|DATE|\",\"|SERVERDATE|\",\
                    |SERVERTIMESTAMP||#if QUALITY|,1|/if|]|#unless @last|,|/unless||/each|]";
    let standard = StandardTexts {
        message: "at: |SERVERDATE|\nvalues: |VALUES|".to_owned(),
        values: "id: |TAGNAME|\nv: |TAGVALUE|\nq: |TAGQUALITY|\nd: |TAGDATE|".to_owned(),
    };
    for texts in [
        TemplateTexts { advanced: Some(advanced.to_owned()), standard: None },
        TemplateTexts { advanced: None, standard: Some(standard) },
    ] {
        let template = Template::new(texts).unwrap();
        let mut body = Vec::with_capacity(1 << 20);
        let mut writer = Writer::open(&template, &mut body, 1_488_227_380_000);
        // Two endings grow to their size.
        (0..2).for_each(|number| writer.event(&mut body, &Event(number)));
        let taken = allocation_counter::measure(|| {
            (2..2000).for_each(|number| writer.event(&mut body, &Event(number)));
        });
        assert_eq!(taken.count_total, 0, "{taken:?}");
        writer.close(&mut body);
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    }
}
