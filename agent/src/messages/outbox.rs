//! The outbox of a device: makes messages from its buffer and keeps their order over connections and restarts. Writes disk,
//! in the buffer; the caller passes the time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_handoff::buffer as config;
use lanyard_handoff::config::Telemetry;

use crate::buffer::counts::{DropReason, EventCounts};
use crate::buffer::entry::MessageBounds;
use crate::buffer::message::Message;
use crate::buffer::store::Buffer;
use crate::messages::fill::{self, Filled, Heading};
use crate::tags::event::Event;

/// Maximum number of unacknowledged messages. With one at a time each would wait for a round trip. 32 fill a
/// connection with 100 ms and 300 messages a second, more than the limit of a hub unit, and limit the messages that a
/// reconnect sends again.
pub const IN_FLIGHT: usize = 32;

/// A device's events on their way to the hub. It outlives connections and configurations.
pub struct Outbox {
    buffer: Buffer,
    /// Events before this number are to be sent now, and not at the next interval.
    due: u64,
    run: u64,
    style: Style,
    /// Number of events and bytes of the newest message.
    newest: (usize, usize),
}

/// Telemetry settings of messages, and their form in the journal.
#[derive(Debug)]
struct Style {
    telemetry: Telemetry,
    profile: Arc<str>,
}

impl Style {
    fn new(telemetry: &Telemetry) -> Self {
        let profile = serde_json::to_string(telemetry).expect("string keys and finite numbers only");
        Self { telemetry: telemetry.clone(), profile: Arc::from(profile) }
    }
}

/// Result of [`Outbox::next`].
#[derive(Debug)]
pub enum Next {
    /// Send this.
    Send(Arc<Message>),
    /// An event of this tag is larger than a hub takes; it was dropped. Ask again.
    TooLarge {
        /// The tag.
        tag: Arc<str>,
        /// Size of the event.
        bytes: usize,
    },
    /// Nothing for now.
    Nothing,
}

impl Outbox {
    /// Creates an outbox over a buffer. `run` makes message ids unlike those of any other run.
    #[must_use]
    pub fn new(buffer: Buffer, run: u64) -> Self {
        let style = Style::new(&Telemetry::default());
        Self { buffer, due: 0, run, style, newest: (0, 0) }
    }

    /// Appends the events of a scan; returns how many events were dropped to make room.
    pub fn append(&mut self, events: &[Event], now: Instant) -> u64 {
        self.buffer.append(events, now)
    }

    /// Returns whether there is room for the next readings.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.buffer.has_room()
    }

    /// Makes all unread events due: an interval has passed, or the agent ends.
    pub fn tick(&mut self) {
        self.due = self.buffer.end();
    }

    /// Returns whether events wait for the next interval.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.buffer.unread() < self.buffer.end()
    }

    /// Returns whether all accepted events are acknowledged or dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_quiet() && !self.waits()
    }

    /// Returns whether no message is in flight.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.buffer.in_flight() == 0
    }

    /// Returns the next message to send: first those of an earlier connection, unchanged and in order, then new ones.
    pub fn next(&mut self, telemetry: &Telemetry, now: Instant, timestamp: i64) -> Next {
        if let Some(message) = self.buffer.resend(now) {
            return Next::Send(message);
        }
        if self.buffer.in_flight() >= IN_FLIGHT {
            return Next::Nothing;
        }
        while let Some(inherited) = self.buffer.inherited().cloned() {
            if self.buffer.unread() < inherited.first {
                // Between messages of an earlier process there may be events that no message could take.
                return self.make(telemetry, inherited.first, now, timestamp);
            }
            if let Some(message) = self.make_again(&inherited, now) {
                return Next::Send(message);
            }
            self.buffer.give_up_inherited(now);
        }
        self.make(telemetry, self.due, now, timestamp)
    }

    /// Makes a message of unread events before the number `until`.
    fn make(&mut self, telemetry: &Telemetry, until: u64, now: Instant, timestamp: i64) -> Next {
        if self.buffer.unread() >= until {
            return Next::Nothing;
        }
        if self.style.telemetry != *telemetry {
            self.style = Style::new(telemetry);
        }
        let (number, first) = (self.buffer.next_message(), self.buffer.unread());
        let heading = Heading { id: &id(self.run, number), number, timestamp, before: self.newest };
        match fill::fill(&mut self.buffer, telemetry, heading, until, now) {
            Filled::Nothing(after) => {
                self.buffer.skip(after, now);
                Next::Nothing
            }
            Filled::TooLarge { tag, bytes, after } => {
                self.buffer.discard(after, DropReason::TooLarge, now);
                Next::TooLarge { tag, bytes }
            }
            Filled::Message { message, after, markers } => {
                let profile = Arc::clone(&self.style.profile);
                let checksum = crc32c::crc32c(&message.body);
                let (run, end) = (self.run, after.number());
                let bounds = MessageBounds { run, number, first, end, timestamp, checksum, profile };
                self.newest = (message.events, message.body.len());
                Next::Send(self.buffer.send(after, message, markers, bounds, now))
            }
        }
    }

    /// Makes a message of an earlier process again, if it comes out as it was.
    fn make_again(&mut self, inherited: &MessageBounds, now: Instant) -> Option<Arc<Message>> {
        let telemetry: Telemetry = serde_json::from_str(&inherited.profile).ok()?;
        if self.buffer.unread() != inherited.first {
            return None;
        }
        let heading = Heading {
            id: &id(inherited.run, inherited.number),
            number: inherited.number,
            timestamp: inherited.timestamp,
            before: self.newest,
        };
        match fill::fill(&mut self.buffer, &telemetry, heading, inherited.end, now) {
            Filled::Message { message, after, markers }
                if after.number() == inherited.end && crc32c::crc32c(&message.body) == inherited.checksum =>
            {
                self.newest = (message.events, message.body.len());
                Some(self.buffer.send(after, message, markers, inherited.clone(), now))
            }
            _ => None,
        }
    }

    /// Notes the hub's acknowledgement; see [`Buffer::acknowledge`].
    pub fn acknowledge(&mut self, number: u64, now: Instant) -> Option<Duration> {
        self.buffer.acknowledge(number, now)
    }

    /// Notes that the connection has ended: every message without an acknowledgement must be sent again.
    pub fn rewind(&mut self) {
        self.buffer.rewind();
    }

    /// Returns the time since which the next acknowledgement is outstanding.
    #[must_use]
    pub fn oldest_in_flight_since(&self) -> Option<Instant> {
        self.buffer.oldest_in_flight_since()
    }

    /// Checks the invariants of the buffer; see [`Buffer::check_invariants`].
    #[cfg(test)]
    pub(crate) fn check_invariants(&self, intact: bool) {
        self.buffer.check_invariants(intact);
    }

    /// Changes the settings of the buffer.
    pub fn configure(&mut self, settings: &config::Buffer, now: Instant) {
        self.buffer.configure(settings, now);
    }

    /// Returns the reason why events are not stored on disk.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.buffer.problem()
    }

    /// Returns the counts of events.
    #[must_use]
    pub fn counts(&self) -> EventCounts {
        self.buffer.counts()
    }

    /// Returns the bytes that the buffer may take.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.buffer.capacity()
    }
}

/// Returns a message's id.
fn id(run: u64, number: u64) -> String {
    format!("{run:016x}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::store::SharedBuffers;
    use crate::tags::event::Value;
    use lanyard_protocol::hub::property_bag::MESSAGE_ID;
    use proptest::prelude::*;

    fn outbox() -> Outbox {
        Outbox::new(Buffer::in_memory(&Default::default(), &SharedBuffers::default()), 0xabc)
    }

    fn append(outbox: &mut Outbox, times: std::ops::Range<i64>) {
        let event =
            |time| Event { tag: Arc::from("T"), value: Value::Null, good: true, continues: false, time };
        outbox.append(&times.map(event).collect::<Vec<_>>(), Instant::now());
    }

    fn id(message: &Message) -> String {
        message.properties.get(MESSAGE_ID).flatten().unwrap().to_owned()
    }

    fn send(outbox: &mut Outbox, telemetry: &Telemetry) -> Option<Arc<Message>> {
        match outbox.next(telemetry, Instant::now(), 0) {
            Next::Send(message) => Some(message),
            Next::Nothing => None,
            Next::TooLarge { .. } => unreachable!(),
        }
    }

    #[test]
    fn events_wait_for_the_interval() {
        let (mut outbox, telemetry) = (outbox(), Telemetry::default());
        append(&mut outbox, 0..3);
        assert!(send(&mut outbox, &telemetry).is_none());
        outbox.tick();
        assert_eq!(send(&mut outbox, &telemetry).unwrap().events, 3);
        append(&mut outbox, 3..4);
        assert!(send(&mut outbox, &telemetry).is_none());
    }

    #[test]
    fn unacknowledged_messages_are_resent_with_the_same_ids() {
        let telemetry = Telemetry { max_events: 1, ..Telemetry::default() };
        let mut outbox = outbox();
        append(&mut outbox, 0..4);
        outbox.tick();
        let first: Vec<_> = (0..3).map(|_| send(&mut outbox, &telemetry).unwrap()).collect();
        assert!(outbox.acknowledge(first[1].number, Instant::now()).is_some());
        assert_eq!(outbox.counts().acknowledged, 0, "the message before it is still in flight");
        outbox.rewind();
        assert_eq!(outbox.oldest_in_flight_since(), None);
        let again: Vec<_> = std::iter::from_fn(|| send(&mut outbox, &telemetry)).collect();
        assert_eq!(
            again.iter().map(|m| id(m)).collect::<Vec<_>>(),
            [1, 3, 4].map(|number| super::id(0xabc, number))
        );
        assert_eq!(again[0], first[0]);
        for message in again {
            outbox.acknowledge(message.number, Instant::now());
        }
        assert!(outbox.is_empty());
        assert_eq!(outbox.counts().acknowledged, 4);
        assert_eq!(outbox.acknowledge(1, Instant::now()), None);
    }

    #[test]
    fn messages_in_flight_are_limited() {
        let telemetry = Telemetry { max_events: 1, ..Telemetry::default() };
        let mut outbox = outbox();
        append(&mut outbox, 0..100);
        outbox.tick();
        let sent: Vec<_> = std::iter::from_fn(|| send(&mut outbox, &telemetry)).collect();
        assert_eq!(sent.len(), IN_FLIGHT);
        outbox.acknowledge(sent[0].number, Instant::now());
        assert!(send(&mut outbox, &telemetry).is_some());
        assert!(send(&mut outbox, &telemetry).is_none());
    }

    #[test]
    fn an_event_too_large_for_the_hub_is_dropped_and_named() {
        let mut outbox = outbox();
        let value = Value::Text(Arc::from("x".repeat(300_000)));
        let big = Event { tag: Arc::from("Big"), value, good: true, continues: false, time: 0 };
        outbox.append(&[big], Instant::now());
        append(&mut outbox, 1..2);
        outbox.tick();
        assert!(
            matches!(outbox.next(&Telemetry::default(), Instant::now(), 0), Next::TooLarge { tag, .. } if &*tag == "Big")
        );
        assert_eq!(send(&mut outbox, &Telemetry::default()).unwrap().events, 1);
        assert_eq!(outbox.counts().dropped(DropReason::TooLarge), 1);
        assert!(outbox.counts().balances());
    }

    #[derive(Debug, Clone)]
    enum Action {
        Append(u8),
        Tick,
        Send,
        Acknowledge(u8),
        Reconnect,
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            3 => (1_u8..6).prop_map(Action::Append),
            2 => Just(Action::Tick),
            5 => Just(Action::Send),
            4 => (0_u8..4).prop_map(Action::Acknowledge),
            1 => Just(Action::Reconnect),
        ]
    }

    proptest! {
        /// Whatever happens, each connection carries messages in order, nothing is lost, and the counts balance.
        #[test]
        fn order_is_kept_and_nothing_is_lost(actions in proptest::collection::vec(action(), 1..120)) {
            let telemetry = Telemetry { max_events: 2, ..Telemetry::default() };
            let mut outbox = outbox();
            let (mut appended, mut sent, mut delivered) = (0, Vec::new(), std::collections::BTreeMap::new());
            for action in actions {
                match action {
                    Action::Append(count) => {
                        append(&mut outbox, appended..appended + i64::from(count));
                        appended += i64::from(count);
                    }
                    Action::Tick => outbox.tick(),
                    Action::Send => {
                        if let Some(message) = send(&mut outbox, &telemetry) {
                            prop_assert!(sent.last().is_none_or(|last: &Arc<Message>| last.number < message.number));
                            if let Some(before) = delivered.insert(message.number, Arc::clone(&message)) {
                                prop_assert_eq!(before, Arc::clone(&message));
                            }
                            sent.push(message);
                        }
                    }
                    Action::Acknowledge(at) => {
                        if let Some(message) = sent.get(usize::from(at)) {
                            outbox.acknowledge(message.number, Instant::now());
                        }
                    }
                    Action::Reconnect => {
                        outbox.rewind();
                        sent.clear();
                    }
                }
                prop_assert!(outbox.counts().balances());
            }
            outbox.rewind();
            outbox.tick();
            while !outbox.is_empty() {
                let message = send(&mut outbox, &telemetry).unwrap();
                outbox.acknowledge(message.number, Instant::now());
                delivered.insert(message.number, message);
            }
            prop_assert_eq!(delivered.values().map(|message| message.events as i64).sum::<i64>(), appended);
            prop_assert_eq!(delivered.keys().copied().collect::<Vec<_>>(), (1..=delivered.len() as u64).collect::<Vec<_>>());
            prop_assert_eq!(outbox.counts().acknowledged, appended as u64);
        }
    }
}
