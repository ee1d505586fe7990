//! The order of several devices that claim one identity. Pure but for a lock.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::kubernetes::key::Key;

/// The time that a device without proof keeps a contested identity: enough to start an agent and to log in.
const TURN: Duration = Duration::from_secs(10 * 60);
/// Time until a device whose turn was unsuccessful gets another one.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// The evidence for a device's claim, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// The hub accepted it, and its agent is there.
    Running,
    /// The hub accepted it once.
    Accepted,
    /// Has a credential that no hub has accepted yet.
    Untried,
    /// Had its turn, and no hub accepted it.
    TriedInVain,
}

/// One of several devices with one identity. The least one keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claimant {
    /// Evidence of the device.
    pub evidence: Evidence,
    /// True if this process has not observed the proof itself. Others can write a status, so it counts less.
    pub by_status_only: bool,
    /// The time of the first proof, where there is one.
    pub since: Option<Timestamp>,
    /// True if it has no agent: a running agent is not stopped for one without an agent.
    pub idle: bool,
    /// The time when the object was made.
    pub created: Timestamp,
    /// Namespace and name.
    pub key: Key,
}

impl Claimant {
    /// Returns whether a hub accepted it.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.evidence <= Evidence::Accepted
    }
}

/// The turns of devices that claim an identity without proof, by the uid of the device. Each of them may try for a while,
/// so that an object without the right credential cannot keep the identity from the one that has it.
#[derive(Debug, Default)]
pub struct Trials(Mutex<HashMap<String, Trial>>);

#[derive(Debug)]
struct Trial {
    began: Instant,
    used: Option<Instant>,
}

impl Trials {
    /// Returns whether the turn of the device was unsuccessful.
    #[must_use]
    pub fn is_used(&self, uid: &str, now: Instant) -> bool {
        let mut trials = self.0.lock();
        let used = trials.get(uid).and_then(|trial| trial.used);
        let over = used.is_some_and(|used| now.duration_since(used) >= AGAIN);
        if over {
            trials.remove(uid);
        }
        used.is_some() && !over
    }

    /// Counts the turn of the device that has the identity now; returns the time that is left of it.
    pub fn spend(&self, uid: &str, now: Instant) -> Duration {
        let mut trials = self.0.lock();
        let trial = trials.entry(uid.to_owned()).or_insert(Trial { began: now, used: None });
        let left = TURN.saturating_sub(now.duration_since(trial.began));
        if left.is_zero() && trial.used.is_none() {
            trial.used = Some(now);
        }
        left
    }

    /// Ends the turn of a device that its hub refused.
    pub fn refused(&self, uid: &str, now: Instant) {
        let mut trials = self.0.lock();
        trials.entry(uid.to_owned()).or_insert(Trial { began: now, used: None }).used.get_or_insert(now);
    }

    /// Forgets a device that is gone, or whose specification changed.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(evidence: Evidence, created: i64, name: &str) -> Claimant {
        Claimant {
            evidence,
            by_status_only: false,
            since: None,
            idle: false,
            created: Timestamp::from_second(created).unwrap(),
            key: Key::new("n", name),
        }
    }

    #[test]
    fn h1_proof_beats_age_and_age_decides_without_proof() {
        use Evidence::{Accepted, Running, TriedInVain, Untried};
        let young_running = claimant(Running, 900, "young");
        for evidence in [Accepted, Untried, TriedInVain] {
            assert!(young_running < claimant(evidence, 1, "old"), "{evidence:?}");
        }
        assert!(claimant(Untried, 1, "old") < claimant(Untried, 2, "young"));
        assert!(claimant(Untried, 2, "young") < claimant(TriedInVain, 1, "old"));
        // Without proof, an agent that runs is not stopped for an older object that comes later.
        let idle = Claimant { idle: true, ..claimant(Untried, 1, "old") };
        assert!(claimant(Untried, 2, "young") < idle);
    }

    #[test]
    fn only_a_device_that_a_hub_accepted_is_proven() {
        let proven = |evidence| claimant(evidence, 1, "a").is_proven();
        assert!(proven(Evidence::Running) && proven(Evidence::Accepted));
        assert!(!proven(Evidence::Untried) && !proven(Evidence::TriedInVain));
    }

    #[test]
    fn h1_a_forged_status_loses_to_a_seen_proof() {
        let early = Some(Timestamp::UNIX_EPOCH);
        let forged =
            Claimant { by_status_only: true, since: early, ..claimant(Evidence::Running, 1, "forged") };
        let seen = Claimant {
            since: Some(Timestamp::from_second(2_000).unwrap()),
            ..claimant(Evidence::Running, 1_000, "seen")
        };
        assert!(seen < forged);
        // After a restart nothing has been seen yet: an agent that runs is not stopped for a status.
        let idle =
            Claimant { by_status_only: true, since: early, ..claimant(Evidence::Accepted, 1, "forged") };
        assert!(Claimant { by_status_only: true, ..seen } < idle);
    }

    #[test]
    fn h1_a_turn_without_proof_ends_and_comes_again() {
        let (trials, start) = (Trials::default(), Instant::now());
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        assert_eq!(trials.spend("a", at(0)), TURN);
        assert_eq!(trials.spend("a", at(9)), Duration::from_secs(60));
        assert!(!trials.is_used("a", at(9)));
        assert!(trials.spend("a", at(10)).is_zero() && trials.is_used("a", at(10)));
        assert!(trials.is_used("a", at(69)) && !trials.is_used("a", at(70)));
        assert_eq!(trials.spend("a", at(71)), TURN, "it begins again");
        trials.refused("b", at(0));
        assert!(trials.is_used("b", at(0)), "a hub's refusal ends a turn at once");
        trials.forget("b");
        assert!(!trials.is_used("b", at(0)));
    }
}
