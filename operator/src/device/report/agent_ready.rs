//! The condition `AgentReady`: whether the agent does all of its work, and what keeps it from it. Pure.

use lanyard_handoff::status as handoff;

use super::state::connects_elsewhere;
use crate::agents::client::MAX_ENTRIES;
use crate::agents::pod::{of_pod, replaced, starting};
use crate::agents::report::AgentSeen;
use crate::agents::report::Report;
use crate::conditions::{Aspect, ConditionStatus};
use crate::device::apply::written::{Applied, Written};
use crate::device::observe::observation::DeviceObservation;
use crate::device::report::outcome::Outcome;
use crate::reason::Reason;

/// The reason where no agent is wanted.
pub(super) const NO_AGENT: Reason = Reason::NoAgent;

/// Returns whether the agent works, and the reason if not.
pub(super) fn agent_ready(
    observed: &DeviceObservation,
    outcome: &Outcome,
    reported: Option<&handoff::DeviceStatus>,
    stuck: Option<Aspect>,
) -> Aspect {
    let agent = &observed.agent;
    match outcome {
        Outcome::Withdrawn(fault) => return Aspect::from_fault(fault),
        Outcome::Applied(
            _,
            Applied { configuration: Err(fault), .. } | Applied { workload: Err(fault), .. },
        ) => return Aspect::from_fault(fault),
        Outcome::Applied(_, Applied { workload: Ok(Written::Waiting(why)), .. }) => {
            return stuck.unwrap_or_else(|| Aspect::new(false, Reason::Waiting, why.clone()));
        }
        Outcome::Applied(
            _,
            Applied { configuration: Ok(Written::Contested(why, _)), .. }
            | Applied { workload: Ok(Written::Contested(why, _)), .. },
        ) => return Aspect::new(false, Reason::Contested, why.clone()),
        _ if no_agent_wanted(observed) => {
            return Aspect::new(
                true,
                NO_AGENT,
                "agent.mode is None: the operator runs no agent for this device",
            );
        }
        Outcome::Applied(_, Applied { workload: Ok(Written::Absent), .. }) => {
            return stuck.unwrap_or_else(ending);
        }
        _ => {}
    }
    stuck.unwrap_or_else(|| running_aspect(agent, reported, agent.outdated || has_new_specification(outcome)))
}

/// Returns whether another program connects the device, and no previous agent does.
pub(super) fn no_agent_wanted(observed: &DeviceObservation) -> bool {
    connects_elsewhere(&observed.device, observed.group.as_deref()) && observed.agent.pod.is_none()
}

/// Returns the aspect of an agent that must end before another program connects the device: two connections of one
/// device would end each other.
fn ending() -> Aspect {
    let message =
        "agent.mode is None, and the previous agent is ending: connect the device after it has ended";
    Aspect::new(false, Reason::AgentEnding, message)
}

/// Returns whether the specification has just changed, so that it was not observed yet.
fn has_new_specification(outcome: &Outcome) -> bool {
    let Outcome::Applied(_, Applied { workload, .. }) = outcome else { return false };
    matches!(workload, Ok(Written::Updated { specification: true }))
}

fn running_aspect(agent: &AgentSeen, reported: Option<&handoff::DeviceStatus>, outdated: bool) -> Aspect {
    let aspect = match (&agent.report, &agent.pod) {
        (Some(Report::Status(status)), _) => match &status.configuration_problem {
            Some(problem) => Aspect::new(false, Reason::ConfigurationRejected, problem.clone()),
            None => reported.and_then(tags_aspect).unwrap_or_else(|| {
                Aspect::new(true, Reason::Running, format!("agent {} runs", status.agent_version))
            }),
        },
        (Some(Report::Contradicts(why)), _) => Aspect::new(false, Reason::AnswerIgnored, ignored(why)),
        (_, None) => match &agent.no_pod {
            Some(why) => {
                Aspect::new(false, Reason::AgentPodRefused, format!("the agent's pod cannot be made: {why}"))
            }
            None => starting(),
        },
        (_, Some(pod)) => of_pod(pod),
    };
    match (aspect.status, &agent.report) {
        (ConditionStatus::True, _) if outdated => replaced(),
        // It has not been asked yet.
        (ConditionStatus::True, None) => starting(),
        _ => aspect,
    }
}

/// Returns the aspect of tags that the agent cannot read as they are written; `None` if there are none. The agent reads
/// the others, and reports all that it cannot read on /status.
fn tags_aspect(reported: &handoff::DeviceStatus) -> Option<Aspect> {
    let (first, others) = reported.problems.split_first()?;
    let message = match others.len() {
        0 => first.clone(),
        1 => format!("{first}; and 1 more tag cannot be read"),
        // More than these are not kept of an answer.
        count if count + 1 >= MAX_ENTRIES => {
            format!("{first}; and {count} or more other tags cannot be read")
        }
        count => format!("{first}; and {count} more tags cannot be read"),
    };
    Some(Aspect::new(false, Reason::TagsRejected, message))
}

/// Returns the message about an answer of the agent's pod that is ignored.
pub(super) fn ignored(why: &str) -> String {
    format!(
        "the answer of the agent's pod is ignored: {why}; if this continues, delete the pod and find the program that changes it"
    )
}
