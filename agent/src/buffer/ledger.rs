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
