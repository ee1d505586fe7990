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
    /// Time at which the last throttled acknowledgement leaves or left.
    acknowledged: Option<Instant>,
    /// Time at which the last delayed answer leaves or left.
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
    /// acknowledgement that is throttled. After the first delay there always is a time: an earlier answer can be due and
    /// not be written yet, and must not be overtaken when the fault ends.
    pub fn answers_at(&mut self, now: Instant, acknowledged_at: Option<Instant>) -> Option<Instant> {
        let delayed = self.occurrence(|named| match named.effect() {
            Effect::DelayAnswers(time) => Some(*time),
            _ => None,
        });
        self.answered = delayed.map(|(_, time)| now + time).max(self.answered);
        self.answered.max(acknowledged_at)
    }

    /// Decides about the acknowledgement of a message that came at `now`. After the first throttled one, each has a time,
    /// for the same reason as in [`Self::answers_at`].
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
        let Some((named, (interval, longest_wait))) = throttled else {
            return self.acknowledged.map_or(Acknowledgement::Sent, Acknowledgement::At);
        };
        let at = self.acknowledged.map_or(now, |earlier| earlier.max(now)) + interval;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::faults::fault::{Fault, Selector, Service};

    const PEER: FaultPeer<'_> = FaultPeer { service: Service::Hub, hub: "hub", device_id: "dev1" };
    const SECOND: Duration = Duration::from_secs(1);

    fn put(faults: &Faults, effect: Effect) {
        let selector = Selector { service: Service::Hub, hub: None, device_id: None };
        faults.put("fault", Fault { selector, effect, count: None });
    }

    /// The earlier answer may be due and not be written yet.
    #[test]
    fn answers_stay_behind_the_last_delayed_one() {
        let (faults, start) = (Faults::default(), Instant::now());
        let mut connection = ConnectionFaults::new(&faults, PEER);
        assert_eq!(connection.answers_at(start, None), None);
        put(&faults, Effect::DelayAnswers(SECOND));
        assert_eq!(connection.answers_at(start, None), Some(start + SECOND));
        faults.clear();
        assert_eq!(connection.answers_at(start + 2 * SECOND, None), Some(start + SECOND));
        put(&faults, Effect::DelayAnswers(SECOND));
        assert_eq!(connection.answers_at(start + 2 * SECOND, None), Some(start + 3 * SECOND));
        let acknowledged_at = Some(start + 9 * SECOND);
        assert_eq!(connection.answers_at(start + 2 * SECOND, acknowledged_at), acknowledged_at);
    }

    #[test]
    fn acknowledgements_stay_behind_the_last_throttled_one() {
        let (faults, start) = (Faults::default(), Instant::now());
        let mut connection = ConnectionFaults::new(&faults, PEER);
        let throttle = Effect::Throttle { interval: SECOND, longest_wait: 2 * SECOND };
        assert_eq!(connection.acknowledgement(start), Acknowledgement::Sent);
        put(&faults, throttle);
        assert_eq!(connection.acknowledgement(start), Acknowledgement::At(start + SECOND));
        faults.clear();
        assert_eq!(connection.acknowledgement(start + 5 * SECOND), Acknowledgement::At(start + SECOND));
        put(&faults, throttle);
        for wait in [1, 2] {
            let at = start + (5 + wait) * SECOND;
            assert_eq!(
                connection.acknowledgement(start + 5 * SECOND),
                Acknowledgement::At(at),
                "not faster than before"
            );
        }
        let late = connection.acknowledgement(start + 5 * SECOND);
        assert!(
            matches!(&late, Acknowledgement::TooLate(reason) if reason.contains("longer than 2 s")),
            "{late:?}"
        );
    }
}
