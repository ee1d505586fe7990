//! Decisions on the faults of one connection, one for each moment. In memory.

use tokio::time::Instant;

use super::fault::{Effect, FaultPeer};
use super::store::{Faults, NamedFault};
use crate::mqtt::answer::Refusal;

/// Faults of one connection.
#[derive(Debug)]
pub struct ConnectionFaults<'a> {
    faults: &'a Faults,
    peer: FaultPeer<'a>,
    messages: u64,
    /// Time at which the last throttled acknowledgement leaves.
    acknowledged: Option<Instant>,
    /// Time at which the last delayed answer leaves.
    answered: Option<Instant>,
}

/// Error of a DPS answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationError {
    /// Six digits, of which the first three are the status.
    pub code: u32,
    /// Text that names the fault.
    pub message: String,
    /// Seconds to wait before asking again.
    pub retry_after: Option<u64>,
}

/// Decision about the acknowledgement of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledgement {
    /// Leaves at once.
    Sent,
    /// Never leaves.
    Lost,
    /// Leaves later.
    At(Instant),
    /// Would be too late: the connection is closed for this reason.
    TooLate(String),
}

impl<'a> ConnectionFaults<'a> {
    /// Returns the faults of a connection that begins.
    #[must_use]
    pub const fn new(faults: &'a Faults, peer: FaultPeer<'a>) -> Self {
        Self { faults, peer, messages: 0, acknowledged: None, answered: None }
    }

    /// Returns the code with which to refuse the connection, and the reason.
    #[must_use]
    pub fn refuses_connection(&self) -> Option<(Refusal, String)> {
        let (named, refusal) = self.occurrence(|named| match named.effect() {
            Effect::RefuseConnections(refusal) => Some(*refusal),
            _ => None,
        })?;
        Some((refusal, reason(&named, &format!("CONNECT is answered with code {}", refusal.code()))))
    }

    /// Counts a message of the connection.
    pub const fn message(&mut self) {
        self.messages += 1;
    }

    /// Returns the reason to close the connection after the messages that were counted.
    #[must_use]
    pub fn drops_connection(&self) -> Option<String> {
        let (named, ()) = self.occurrence(|named| match named.effect() {
            Effect::DropConnections { after_messages } => (self.messages >= *after_messages).then_some(()),
            _ => None,
        })?;
        Some(match self.messages {
            0 => reason(&named, "CONNECT has no answer"),
            count => reason(&named, &format!("the connection is closed after {count} messages")),
        })
    }

    /// Returns the time at which the answers to a packet of `now` leave, if not at once; one of them may be an
    /// acknowledgement that is throttled. Answers do not overtake one another when a fault ends.
    pub fn answers_at(&mut self, now: Instant, acknowledged_at: Option<Instant>) -> Option<Instant> {
        let delayed = self.occurrence(|named| match named.effect() {
            Effect::DelayAnswers(time) => Some(*time),
            _ => None,
        });
        let earlier = self.answered.filter(|earlier| *earlier > now);
        self.answered = delayed.map(|(_, time)| now + time).max(earlier);
        self.answered.max(acknowledged_at)
    }

    /// Decides about the acknowledgement of a message that came at `now`.
    pub fn acknowledgement(&mut self, now: Instant) -> Acknowledgement {
        let lost = self.occurrence(|named| match named.effect() {
            Effect::LoseAcknowledgements { one_in } => named.is_last_of(one_in.get().into()).then_some(()),
            _ => None,
        });
        if lost.is_some() {
            return Acknowledgement::Lost;
        }
        let throttled = self.occurrence(|named| match named.effect() {
            Effect::Throttle { interval, longest_wait } => Some((*interval, *longest_wait)),
            _ => None,
        });
        let earlier = self.acknowledged.filter(|earlier| *earlier > now);
        let Some((named, (interval, longest_wait))) = throttled else {
            return earlier.map_or(Acknowledgement::Sent, Acknowledgement::At);
        };
        let at = earlier.unwrap_or(now) + interval;
        if at - now > longest_wait {
            let text = format!("an acknowledgement would wait longer than {} s", longest_wait.as_secs());
            return Acknowledgement::TooLate(reason(&named, &text));
        }
        self.acknowledged = Some(at);
        Acknowledgement::At(at)
    }

    /// Returns the error with which DPS answers a request.
    #[must_use]
    pub fn refuses_registration(&self) -> Option<RegistrationError> {
        let (named, (code, retry_after)) = self.occurrence(|named| match named.effect() {
            Effect::RefuseRegistrations { error_code, retry_after } => Some((*error_code, *retry_after)),
            _ => None,
        })?;
        Some(RegistrationError { code, message: reason(&named, "the request is refused"), retry_after })
    }

    fn occurrence<T>(
        &self,
        decide: impl Fn(&NamedFault) -> Option<T>,
    ) -> Option<(std::sync::Arc<NamedFault>, T)> {
        self.faults.occurrence(&self.peer, decide)
    }
}

fn reason(named: &NamedFault, text: &str) -> String {
    format!("fault {:?}: {text}", named.name())
}
