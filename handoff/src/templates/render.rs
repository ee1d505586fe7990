//! Writer of a message's body, event by event: it knows the length of the complete body at any time, and allocates nothing
//! for an event. Pure.

use std::io::Write as _;

use jiff::Timestamp;

use crate::templates::escape;
use crate::templates::node::Variable;
use crate::templates::plan::{Item, Piece, Plan};
use crate::templates::template::Template;

/// Event for a template.
pub trait Sample {
    /// Returns the name of the tag.
    fn tag(&self) -> &str;
    /// Writes the value as JSON.
    fn value(&self, out: &mut Vec<u8>);
    /// Returns the quality of the reading.
    fn good(&self) -> bool;
    /// Returns the time of the reading, in milliseconds since 1970-01-01T00:00:00Z.
    fn time(&self) -> i64;
}

/// Writer of a body.
#[derive(Debug)]
pub struct Writer<'t> {
    plan: &'t Plan,
    /// Time of the message, in milliseconds since 1970-01-01T00:00:00Z.
    server: i64,
    events: u64,
    tail: Vec<u8>,
    newest: PossibleEnd,
    /// Index of the next event.
    before: PossibleEnd,
}

/// End of a body, if no further event follows.
#[derive(Debug, Default)]
struct PossibleEnd {
    /// Length of the body before the end.
    at: usize,
    /// Text that replaces the transition to another event.
    text: Vec<u8>,
}

impl<'t> Writer<'t> {
    /// Starts a body at the end of `out`.
    #[must_use]
    pub fn open(template: &'t Template, out: &mut Vec<u8>, server: i64) -> Self {
        let plan = template.plan();
        let mut tail = Vec::new();
        around(&mut tail, &plan.tail, server);
        around(out, &plan.head, server);
        let newest = PossibleEnd { at: out.len(), text: Vec::new() };
        Self { plan, server, events: 0, tail, newest, before: PossibleEnd::default() }
    }

    /// Writes an event.
    pub fn event<S: Sample>(&mut self, out: &mut Vec<u8>, event: &S) {
        std::mem::swap(&mut self.newest, &mut self.before);
        let Item { shared, more, last } = if self.events == 0 { &self.plan.first } else { &self.plan.others };
        let moment = Context { server: self.server, index: self.events, event };
        moment.pieces(out, shared);
        self.newest.at = out.len();
        self.newest.text.clear();
        moment.pieces(&mut self.newest.text, last);
        moment.pieces(out, more);
        self.events += 1;
    }

    /// Returns the length of the body in bytes if it ends now.
    #[must_use]
    pub fn length(&self) -> usize {
        self.newest.at + self.newest.text.len() + self.tail.len()
    }

    /// Removes the newest event, at most once; `len` is the length of `out` before it.
    pub fn take_back(&mut self, out: &mut Vec<u8>, len: usize) {
        out.truncate(len);
        self.events -= 1;
        std::mem::swap(&mut self.newest, &mut self.before);
    }

    /// Writes the end of the body.
    pub fn close(self, out: &mut Vec<u8>) {
        out.truncate(self.newest.at);
        out.extend_from_slice(&self.newest.text);
        out.extend_from_slice(&self.tail);
    }
}

/// Writes the text outside of the loop, which has no event.
fn around(out: &mut Vec<u8>, pieces: &[Piece], server: i64) {
    struct NoEvent;
    impl Sample for NoEvent {
        fn tag(&self) -> &str {
            ""
        }
        fn value(&self, _: &mut Vec<u8>) {}
        fn good(&self) -> bool {
            false
        }
        fn time(&self) -> i64 {
            0
        }
    }
    Context { server, index: 0, event: &NoEvent }.pieces(out, pieces);
}

/// Values of the variables for an event.
pub(super) struct Context<'e, S> {
    pub(super) server: i64,
    pub(super) index: u64,
    pub(super) event: &'e S,
}

impl<S: Sample> Context<'_, S> {
    fn pieces(&self, out: &mut Vec<u8>, pieces: &[Piece]) {
        for piece in pieces {
            match piece {
                Piece::Text { text, .. } => out.extend_from_slice(text.as_bytes()),
                Piece::Put { variable, quoted, .. } => self.put(out, *variable, *quoted),
                Piece::ByQuality { good, bad } => {
                    self.pieces(out, if self.event.good() { good } else { bad });
                }
            }
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>, variable: Variable, quoted: bool) {
        match variable {
            Variable::ServerTimestamp => number(out, self.server),
            Variable::ServerDate => date(out, self.server),
            Variable::Name => escape::text(out, self.event.tag()),
            Variable::Value => {
                let start = out.len();
                self.event.value(out);
                if quoted {
                    escape::inside_quotes(out, start);
                }
            }
            Variable::Quality => out.extend_from_slice(if self.event.good() { b"true" } else { b"false" }),
            Variable::Timestamp => number(out, self.event.time()),
            Variable::Date => date(out, self.event.time()),
            Variable::Index => number(out, self.index),
            // Plans have them as text already.
            Variable::First | Variable::Last => {}
        }
    }
}

fn number(out: &mut Vec<u8>, number: impl serde::Serialize) {
    serde_json::to_writer(out, &number).expect("a whole number, written to memory");
}

/// Writes a time in ISO 8601, in UTC with milliseconds. A time outside of the calendar, from a clock that is off by ten
/// thousand years, becomes the first or last one of the calendar.
fn date(out: &mut Vec<u8>, millis: i64) {
    let end = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let at = Timestamp::from_millisecond(millis).unwrap_or(end);
    write!(out, "{at:.3}").expect("a date, written to memory");
}
