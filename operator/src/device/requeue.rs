//! Time of the next reconcile of a device that does not change. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::observe::observation::DeviceObservation;
use super::report::credentials_ready;
use super::report::outcome::Outcome;
use crate::agents::pod::overdue_in;
use crate::agents::report::AgentSeen;
use crate::backoff::spread_over;
use crate::credential::rollover_queue::RolloverTurn;
use crate::device::issue::credential::Pending;
use crate::reason::Reason;

/// Watches report changes; this interval only repairs what was lost.
const RESYNC: Duration = Duration::from_secs(30 * 60);
/// Watches report a user's correction; this interval only repairs what was lost.
const RESYNC_FAULTY: Duration = Duration::from_secs(5 * 60);
/// A refusal may depend on what is not watched, such as quotas and admission rules.
const RETRY_REFUSED: Duration = Duration::from_secs(30);
/// Something ends soon.
const WAIT: Duration = Duration::from_secs(2);
/// Timers may be early by a fraction.
const A_MOMENT: Duration = Duration::from_millis(50);
/// Delay of reading events for a missing pod; events are not watched.
const POD_MUST_APPEAR: Duration = Duration::from_secs(5);

/// Inputs for the time of the next reconcile, besides the outcome.
#[derive(Debug, Default)]
pub struct LastSeen {
    /// The agent.
    pub agent: AgentSeen,
    /// Time until another claimant of the identity has its turn.
    pub turn: Option<Duration>,
}

impl LastSeen {
    pub(super) fn of(observed: DeviceObservation) -> Self {
        Self { agent: observed.agent, turn: observed.contest.turn }
    }
}

/// Returns the time until the next reconcile. `spread` is between 0 and 1, and random: devices of one restart must not
/// be reconciled together for ever.
#[must_use]
pub fn next_reconcile(outcome: &Outcome, seen: &LastSeen, now: Timestamp, spread: f64) -> Duration {
    let next = match outcome.fault().map(|fault| fault.reason) {
        Some(Reason::Refused | Reason::DuplicateDeviceId) => RETRY_REFUSED,
        Some(_) => RESYNC_FAULTY,
        None => next_for_outcome(outcome, &seen.agent, now),
    };
    let turn = seen.turn.map(|turn| turn + A_MOMENT);
    [turn, due(outcome, now)].into_iter().flatten().fold(spread_over(next, spread), Duration::min)
}

/// Returns the time until the next reconcile of a device whose user has nothing to fix.
fn next_for_outcome(outcome: &Outcome, agent: &AgentSeen, now: Timestamp) -> Duration {
    let ends = agent.pod.as_ref().and_then(|pod| overdue_in(pod, now));
    match (outcome.waits(), ends, &agent.pod) {
        // The condition names it already; a watch reports the end.
        (_, Some(Duration::ZERO), _) => RESYNC_FAULTY,
        (Some(wait), _, _) => wait.max(WAIT),
        // No watch reports the end of a period.
        (None, Some(left), _) => left + WAIT,
        (None, None, None) if agent.no_pod.is_some() => RETRY_REFUSED,
        (None, None, None) if outcome.wants_no_agent() => RESYNC,
        (None, None, None) => POD_MUST_APPEAR,
        (None, None, Some(_)) => RESYNC,
    }
}

/// Returns the time until the next scheduled action on the credentials.
fn due(outcome: &Outcome, now: Timestamp) -> Option<Duration> {
    let Outcome::Applied(_, applied) = outcome else { return None };
    if let Some(Pending::RolloverTurn(RolloverTurn::In(wait) | RolloverTurn::Paused(wait))) =
        applied.issued.pending
    {
        return Some(wait);
    }
    let next = credentials_ready::next(&applied.issued, now)?;
    Some(Duration::try_from(next.duration_since(now)).unwrap_or_default() + A_MOMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::contest::Contest;

    #[test]
    fn last_seen_has_the_agent_and_the_turn() {
        let turn = Some(Duration::from_secs(3));
        let mut observed =
            DeviceObservation { contest: Contest { turn, ..Contest::default() }, ..Default::default() };
        observed.agent.no_pod = Some("a quota".to_owned());
        let seen = LastSeen::of(observed);
        assert_eq!((seen.agent.no_pod.as_deref(), seen.turn), (Some("a quota"), turn));
    }
}
