//! Conditions of both kinds, in the form that kubectl, kstatus, Argo CD and Flux read. Pure.

use crate::fault::Fault;
use crate::reason::Reason;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Connected, with everything in order.
pub const READY: &str = "Ready";
/// The credentials Secret holds the right key.
pub const CREDENTIALS_READY: &str = "CredentialsReady";
/// The certificate that the device shows ends soon, and no renewal comes first.
pub const CREDENTIALS_EXPIRING: &str = "CredentialsExpiring";
/// The agent runs.
pub const AGENT_READY: &str = "AgentReady";
/// The hub has accepted the device.
pub const CONNECTED: &str = "Connected";
/// Every row of a group's list has its device.
pub const IMPORTED: &str = "Imported";
/// The list of a group's devices with their credentials is current.
pub const EXPORTED: &str = "Exported";
/// The operator or the agent is still working.
pub const RECONCILING: &str = "Reconciling";
/// A user must change something.
pub const STALLED: &str = "Stalled";

/// Longest message that Kubernetes takes.
const MAX_MESSAGE: usize = 32 * 1024;

/// A condition's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionStatus {
    /// Condition status `True`.
    True,
    /// Condition status `False`.
    False,
    /// Condition status `Unknown`.
    Unknown,
}

impl ConditionStatus {
    /// Returns the name that Kubernetes uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// State of one aspect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aspect {
    /// Status of the condition.
    pub status: ConditionStatus,
    /// Reason, in CamelCase.
    pub reason: Reason,
    /// Message for people.
    pub message: String,
}

impl Aspect {
    /// Creates an aspect.
    pub fn new(status: impl Into<ConditionStatus>, reason: Reason, message: impl Into<String>) -> Self {
        Self { status: status.into(), reason, message: message.into() }
    }

    /// Returns the aspect of an error that a user must fix.
    pub fn from_fault(fault: &Fault) -> Self {
        Self::new(false, fault.reason, fault.message.clone())
    }
}

/// Turns aspects into conditions; one whose value is as it was keeps the time of its last transition.
#[must_use]
pub fn conditions(
    aspects: Vec<(&str, Aspect)>,
    before: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let condition = |(type_, aspect): (&str, Aspect)| {
        let status = aspect.status.as_str();
        let same = before.iter().find(|old| old.type_ == type_ && old.status == status);
        let mut message = aspect.message;
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        Condition {
            last_transition_time: same
                .map_or_else(|| Time(whole_seconds(now)), |old| old.last_transition_time.clone()),
            message,
            observed_generation: Some(generation),
            reason: aspect.reason.as_str().to_owned(),
            status: status.to_owned(),
            type_: type_.to_owned(),
        }
    };
    aspects.into_iter().map(condition).collect()
}

/// Removes the fraction of a second: Kubernetes keeps none, and what is compared with its answer must not have any.
#[must_use]
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Returns `Reconciling` and `Stalled`, from the readiness of the object and whether it waits for a user.
#[must_use]
pub fn progress(ready: &Aspect, stalled: bool) -> [(&'static str, Aspect); 2] {
    let (reconciling, stalled) = match (ready.status, stalled) {
        (ConditionStatus::True, _) => {
            (Aspect::new(false, Reason::UpToDate, ""), Aspect::new(false, Reason::UpToDate, ""))
        }
        (_, true) => {
            (Aspect::new(false, Reason::Stalled, ""), Aspect::new(true, ready.reason, ready.message.clone()))
        }
        (_, false) => (
            Aspect::new(true, ready.reason, ready.message.clone()),
            Aspect::new(false, Reason::Progressing, ""),
        ),
    };
    [(RECONCILING, reconciling), (STALLED, stalled)]
}

/// Returns the condition of this type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_transition_moves_the_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let one = conditions(vec![(READY, Aspect::new(false, Reason::SecretNotFound, "a"))], &[], 1, at(100));
        let two = conditions(vec![(READY, Aspect::new(false, Reason::Importing, "b"))], &one, 2, at(200));
        let three = conditions(vec![(READY, Aspect::new(true, Reason::Imported, "c"))], &two, 2, at(300));
        assert_eq!(two[0].last_transition_time, Time(at(100)));
        assert_eq!((two[0].reason.as_str(), two[0].observed_generation), ("Importing", Some(2)));
        assert_eq!(three[0].last_transition_time, Time(at(300)));
    }

    #[test]
    fn time_of_another_condition_does_not_count() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let aspect = || Aspect::new(true, Reason::Running, "");
        let before = conditions(vec![(AGENT_READY, aspect())], &[], 1, at(100));
        let after = conditions(vec![(READY, aspect()), (AGENT_READY, aspect())], &before, 1, at(200));
        assert_eq!([0, 1].map(|at| after[at].last_transition_time.0.as_second()), [200, 100]);
        assert_eq!(find(&after, AGENT_READY), Some(&after[1]));
        assert_eq!(find(&after, CONNECTED), None);
    }

    #[test]
    fn long_message_is_cut_between_characters() {
        let long = |letter: &str| {
            let aspect = Aspect::new(false, Reason::Waiting, format!("a{}", letter.repeat(40_000)));
            conditions(vec![(READY, aspect)], &[], 1, Timestamp::UNIX_EPOCH).remove(0).message.len()
        };
        assert_eq!((long("a"), long("é")), (32_768, 32_767));
    }

    #[test]
    fn times_are_whole_seconds() {
        let time = Timestamp::from_millisecond(1_500).unwrap();
        assert_eq!(whole_seconds(time), Timestamp::from_second(1).unwrap());
    }

    #[test]
    fn object_is_reconciling_stalled_or_current() {
        let not = Aspect::new(false, Reason::Waiting, "y");
        let word =
            |ready: &Aspect, stalled| progress(ready, stalled).map(|(_, aspect)| aspect.status.as_str());
        assert_eq!(word(&not, true), ["False", "True"]);
        assert_eq!(word(&not, false), ["True", "False"]);
        assert_eq!(word(&Aspect::new(true, Reason::Running, "y"), false), ["False", "False"]);
    }
}
