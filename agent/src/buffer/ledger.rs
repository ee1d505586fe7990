//! Ledger of the messages in flight: made, and not acknowledged. Pure.
//!
//! The ledger is the only record in memory of what is in flight. The journal stores the same bounds on disk, see
//! [`super::journal`]; messages that an earlier process left in flight are inherited from there, and come before every
//! new message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::MessageBounds;
use super::message::Message;

/// A message in flight.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) bounds: MessageBounds,
    pub(super) message: Arc<Message>,
    /// Number of events from the buffer.
    pub(super) events: u64,
    /// Number of events that report a gap.
    pub(super) markers: u64,
    /// Time of its oldest event, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) oldest: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// To be sent on the next connection.
    Waiting,
    Sent(Instant),
    /// Acknowledged before an older message.
    Acknowledged,
}

/// The messages in flight, in order.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    flights: VecDeque<(Flight, State)>,
    /// Messages that an earlier process made and this one has not made again. They follow the last flight.
    inherited: VecDeque<MessageBounds>,
    /// Time since which the oldest message is the oldest on this connection.
    oldest_since: Option<Instant>,
}

impl Ledger {
    /// Creates a ledger of the messages that an earlier process left in flight, in order.
    pub(super) fn new(inherited: impl IntoIterator<Item = MessageBounds>) -> Self {
        Self { inherited: inherited.into_iter().collect(), ..Self::default() }
    }

    /// Returns the number of messages of this process.
    pub(super) fn len(&self) -> usize {
        self.flights.len()
    }

    /// Returns whether no message is in flight, inherited ones included.
    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty() && self.inherited.is_empty()
    }

    /// Returns the number after the last event in flight, or 0.
    pub(super) fn end(&self) -> u64 {
        let last = self.inherited.back().or_else(|| self.flights.back().map(|(flight, _)| &flight.bounds));
        last.map_or(0, |bounds| bounds.end)
    }

    /// Returns the bounds of every message in flight, in order.
    pub(super) fn bounds(&self) -> impl Iterator<Item = &MessageBounds> {
        self.flights.iter().map(|(flight, _)| &flight.bounds).chain(&self.inherited)
    }

    /// Returns the time of the oldest event in flight.
    pub(super) fn oldest_event(&self) -> Option<i64> {
        self.flights.front().and_then(|(flight, _)| flight.oldest)
    }

    /// Returns the time since which the next acknowledgement is outstanding.
    pub(super) fn oldest_since(&self) -> Option<Instant> {
        self.oldest_since
    }

    /// Returns the next message of an earlier process.
    pub(super) fn inherited(&self) -> Option<&MessageBounds> {
        self.inherited.front()
    }

    /// Removes the next message of an earlier process; returns whether there was one.
    pub(super) fn remove_inherited(&mut self) -> bool {
        self.inherited.pop_front().is_some()
    }

    /// Adds a message that is sent now; returns whether it is new. A message with the bounds of the next inherited one
    /// takes its place.
    pub(super) fn add(&mut self, flight: Flight, now: Instant) -> bool {
        let inherited = self.inherited.pop_front_if(|next| next.number == flight.bounds.number).is_some();
        self.flights.push_back((flight, State::Sent(now)));
        self.oldest_since.get_or_insert(now);
        !inherited
    }

    /// Returns the oldest message that waits for a connection, and counts it as sent.
    pub(super) fn resend(&mut self, now: Instant) -> Option<Arc<Message>> {
        let (flight, state) = self.flights.iter_mut().find(|(_, state)| *state == State::Waiting)?;
        *state = State::Sent(now);
        self.oldest_since.get_or_insert(now);
        Some(Arc::clone(&flight.message))
    }

    /// Notes an acknowledgement; returns the time since the message was sent, or nothing for one that is not sent.
    pub(super) fn acknowledge(&mut self, number: u64, now: Instant) -> Option<Duration> {
        let (_, state) = self.flights.iter_mut().find(|(flight, _)| flight.bounds.number == number)?;
        let State::Sent(sent) = *state else { return None };
        *state = State::Acknowledged;
        Some(now.saturating_duration_since(sent))
    }

    /// Removes the oldest message if it is acknowledged.
    pub(super) fn remove_acknowledged(&mut self, now: Instant) -> Option<Flight> {
        let (flight, _) = self.flights.pop_front_if(|(_, state)| *state == State::Acknowledged)?;
        self.oldest_since = (!self.flights.is_empty()).then_some(now);
        Some(flight)
    }

    /// Notes that the connection has ended: every message without an acknowledgement must be sent again.
    pub(super) fn rewind(&mut self) {
        for (_, state) in &mut self.flights {
            if matches!(state, State::Sent(_)) {
                *state = State::Waiting;
            }
        }
        self.oldest_since = None;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::Bytes;
    use lanyard_protocol::hub::property_bag::PropertyBag;
    use proptest::prelude::*;

    use super::*;

    /// Returns the bounds of a message of ten events.
    fn bounds(number: u64) -> MessageBounds {
        let (first, end) = (number * 10, number * 10 + 10);
        MessageBounds { run: 7, number, first, end, timestamp: 0, checksum: 0, profile: Arc::from("") }
    }

    fn flight(number: u64) -> Flight {
        let message = Message { number, properties: PropertyBag::new(), body: Bytes::new(), events: 10 };
        let oldest = Some(number as i64 * 1000);
        Flight { bounds: bounds(number), message: Arc::new(message), events: 10, markers: 0, oldest }
    }

    fn ledger(numbers: impl IntoIterator<Item = u64>, now: Instant) -> Ledger {
        let mut ledger = Ledger::default();
        for number in numbers {
            assert!(ledger.add(flight(number), now));
        }
        ledger
    }

    /// More messages than any ledger here has: a fault must not send or remove messages forever.
    const MANY: usize = 100;

    fn resent(ledger: &mut Ledger, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| ledger.resend(now)).take(MANY).map(|message| message.number).collect()
    }

    fn removed(ledger: &mut Ledger, now: Instant) -> Vec<u64> {
        let removed = std::iter::from_fn(|| ledger.remove_acknowledged(now)).take(MANY);
        removed.map(|flight| flight.bounds.number).collect()
    }

    fn numbers(ledger: &Ledger) -> Vec<u64> {
        ledger.bounds().map(|bounds| bounds.number).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn empty_ledger_has_nothing_to_send_or_remove() {
        let now = Instant::now();
        let mut ledger = Ledger::new([]);
        ledger.rewind();
        assert!(ledger.is_empty());
        assert_eq!((ledger.len(), ledger.end()), (0, 0));
        assert_eq!((ledger.oldest_event(), ledger.oldest_since()), (None, None));
        assert_eq!((ledger.acknowledge(1, now), ledger.inherited()), (None, None));
        assert!(!ledger.remove_inherited());
        assert_eq!((resent(&mut ledger, now), removed(&mut ledger, now)), (vec![], vec![]));
    }

    #[test]
    fn sent_message_is_removed_once_acknowledged() {
        let now = Instant::now();
        let mut ledger = ledger([1], now);
        assert_eq!((ledger.len(), ledger.end(), ledger.is_empty()), (1, 20, false));
        assert_eq!((ledger.oldest_event(), ledger.oldest_since()), (Some(1000), Some(now)));
        assert!(removed(&mut ledger, now).is_empty());
        assert_eq!(ledger.acknowledge(1, now + SECOND), Some(SECOND));
        assert_eq!(ledger.len(), 1, "until it is removed");
        assert_eq!(removed(&mut ledger, now + SECOND), [1]);
        assert_eq!((ledger.len(), ledger.is_empty(), ledger.oldest_since()), (0, true, None));
    }

    #[test]
    fn messages_are_removed_in_order() {
        let now = Instant::now();
        let mut ledger = ledger(1..=3, now);
        assert!(ledger.acknowledge(3, now).is_some());
        assert!(ledger.acknowledge(2, now).is_some());
        assert!(removed(&mut ledger, now).is_empty());
        assert_eq!((numbers(&ledger), ledger.end()), (vec![1, 2, 3], 40));
        assert!(ledger.acknowledge(1, now).is_some());
        assert_eq!(removed(&mut ledger, now), [1, 2, 3]);
    }

    #[test]
    fn oldest_is_outstanding_since_the_last_removal() {
        let now = Instant::now();
        let mut ledger = ledger(1..=2, now);
        ledger.acknowledge(1, now + SECOND);
        assert_eq!(ledger.oldest_since(), Some(now));
        removed(&mut ledger, now + SECOND);
        assert_eq!((ledger.oldest_since(), ledger.oldest_event()), (Some(now + SECOND), Some(2000)));
    }

    #[test]
    fn lost_connection_resends_the_unacknowledged_in_order() {
        let now = Instant::now();
        let mut ledger = ledger(1..=4, now);
        ledger.acknowledge(2, now);
        ledger.rewind();
        assert_eq!(ledger.oldest_since(), None);
        assert_eq!(resent(&mut ledger, now + SECOND), [1, 3, 4]);
        assert_eq!((resent(&mut ledger, now), ledger.oldest_since()), (vec![], Some(now + SECOND)));
        assert_eq!(ledger.acknowledge(1, now + 3 * SECOND), Some(2 * SECOND), "since it was sent again");
        assert_eq!(removed(&mut ledger, now), [1, 2]);
    }

    #[test]
    fn acknowledgement_of_a_message_not_sent_is_ignored() {
        let now = Instant::now();
        let mut ledger = ledger(1..=2, now);
        assert_eq!(ledger.acknowledge(9, now), None, "no such message");
        assert!(ledger.acknowledge(2, now).is_some());
        assert_eq!(ledger.acknowledge(2, now), None, "acknowledged before");
        ledger.rewind();
        assert_eq!(ledger.acknowledge(1, now), None, "not sent on this connection");
        assert!(removed(&mut ledger, now).is_empty());
        assert_eq!(resent(&mut ledger, now), [1]);
    }

    #[test]
    fn inherited_message_is_replaced_by_the_one_made_again() {
        let now = Instant::now();
        let mut ledger = Ledger::new([bounds(1), bounds(3)]);
        assert_eq!((ledger.len(), ledger.is_empty(), ledger.end()), (0, false, 40));
        assert_eq!(ledger.inherited(), Some(&bounds(1)));
        assert!(!ledger.add(flight(1), now), "it is in the journal");
        assert!(ledger.add(flight(2), now), "made between two inherited ones");
        assert_eq!((numbers(&ledger), ledger.len(), ledger.end()), (vec![1, 2, 3], 2, 40));
        assert!(ledger.remove_inherited());
        assert_eq!((numbers(&ledger), ledger.end()), (vec![1, 2], 30));
    }

    /// Each message by itself, without an order of states.
    #[derive(Debug, Default)]
    struct Model {
        inherited: Vec<u64>,
        /// Numbers of the messages in flight, in order.
        made: Vec<u64>,
        acknowledged: BTreeSet<u64>,
        /// Time at which a message was sent on this connection.
        sent: BTreeMap<u64, Instant>,
        /// Time of the last removal on this connection, if it left messages.
        removed: Option<Instant>,
    }

    impl Model {
        fn to_resend(&self) -> Option<u64> {
            let pending =
                |number: &&u64| !self.acknowledged.contains(number) && !self.sent.contains_key(number);
            self.made.iter().find(pending).copied()
        }

        fn acknowledge(&mut self, number: u64, now: Instant) -> Option<Duration> {
            let sent = self.made.contains(&number).then(|| self.sent.get(&number)).flatten()?;
            self.acknowledged.insert(number).then(|| now - *sent)
        }

        fn remove(&mut self, now: Instant) -> Vec<u64> {
            let end = self.made.iter().position(|number| !self.acknowledged.contains(number));
            let removed: Vec<u64> = self.made.drain(..end.unwrap_or(self.made.len())).collect();
            if !removed.is_empty() {
                self.removed = (!self.made.is_empty()).then_some(now);
            }
            removed
        }

        fn oldest_since(&self) -> Option<Instant> {
            let sent = self.made.iter().filter_map(|number| self.sent.get(number));
            self.removed.or(sent.min().copied())
        }

        fn all(&self) -> Vec<u64> {
            self.made.iter().chain(&self.inherited).copied().collect()
        }
    }

    #[derive(Debug, Clone)]
    enum LedgerAction {
        Add,
        MakeAgain,
        GiveUp,
        Resend,
        Acknowledge(u64),
        Rewind,
    }

    fn action() -> impl Strategy<Value = LedgerAction> {
        prop_oneof![
            4 => Just(LedgerAction::Add),
            2 => Just(LedgerAction::MakeAgain),
            1 => Just(LedgerAction::GiveUp),
            4 => Just(LedgerAction::Resend),
            8 => (0_u64..14).prop_map(LedgerAction::Acknowledge),
            1 => Just(LedgerAction::Rewind),
        ]
    }

    proptest! {
        #[test]
        fn ledger_equals_its_model(actions in proptest::collection::vec(action(), 1..80), inherited in 0_u64..4) {
            let mut now = Instant::now();
            let mut ledger = Ledger::new((1..=inherited).map(bounds));
            let mut model = Model { inherited: (1..=inherited).collect(), ..Model::default() };
            let mut newest = inherited;
            for action in actions {
                now += SECOND;
                match action {
                    LedgerAction::Add => {
                        newest += 1;
                        prop_assert!(ledger.add(flight(newest), now));
                        model.made.push(newest);
                        model.sent.insert(newest, now);
                    }
                    LedgerAction::MakeAgain if model.inherited.is_empty() => {}
                    LedgerAction::MakeAgain => {
                        let number = model.inherited.remove(0);
                        prop_assert!(!ledger.add(flight(number), now));
                        model.made.push(number);
                        model.sent.insert(number, now);
                    }
                    LedgerAction::GiveUp => {
                        let next = (!model.inherited.is_empty()).then(|| model.inherited.remove(0));
                        prop_assert_eq!(ledger.remove_inherited(), next.is_some());
                    }
                    LedgerAction::Resend => {
                        let expected = model.to_resend();
                        prop_assert_eq!(ledger.resend(now).map(|message| message.number), expected);
                        model.sent.extend(expected.map(|number| (number, now)));
                    }
                    LedgerAction::Acknowledge(number) => {
                        prop_assert_eq!(ledger.acknowledge(number, now), model.acknowledge(number, now));
                        prop_assert_eq!(removed(&mut ledger, now), model.remove(now));
                    }
                    LedgerAction::Rewind => {
                        ledger.rewind();
                        model.sent.clear();
                        model.removed = None;
                    }
                }
                let all = model.all();
                prop_assert_eq!(ledger.len(), model.made.len());
                prop_assert_eq!(ledger.is_empty(), all.is_empty());
                prop_assert_eq!(ledger.end(), all.last().map_or(0, |number| number * 10 + 10));
                prop_assert_eq!(ledger.oldest_event(), model.made.first().map(|number| *number as i64 * 1000));
                prop_assert_eq!(ledger.oldest_since(), model.oldest_since());
                prop_assert_eq!(ledger.inherited().map(|bounds| bounds.number), model.inherited.first().copied());
                prop_assert_eq!(numbers(&ledger), all);
            }
        }
    }
}
