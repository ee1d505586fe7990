//! What a pod shows of its agent. Pure.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus};
use kube::ResourceExt;

use crate::conditions::Aspect;

/// The reason while everything goes its way.
pub const AGENT_STARTING: &str = "AgentStarting";
/// Longest part of a log that a condition repeats.
const MAX_WORDS: usize = 400;

/// The words are always the same, so that a start is one status and not five.
#[must_use]
pub fn starting() -> Aspect {
    Aspect::new(false, AGENT_STARTING, "the agent's pod is starting")
}

/// Whether the agent runs, and if not, why.
#[must_use]
pub fn of_pod(pod: &Pod) -> Aspect {
    let name = pod.name_any();
    let status = pod.status.clone().unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() {
        return starting();
    }
    if let Some(why) = unschedulable(&status) {
        return Aspect::new(false, "AgentUnschedulable", format!("no node takes pod {name}: {why}"));
    }
    let Some(container) = status.container_statuses.iter().flatten().next() else { return starting() };
    match &container.state {
        Some(ContainerState { running: Some(_), .. }) => {
            Aspect::new(true, "Running", format!("pod {name} runs"))
        }
        Some(ContainerState { terminated: Some(_), .. }) => crashing(&name, container),
        Some(ContainerState { waiting: Some(waiting), .. }) => {
            let why = waiting.reason.as_deref().unwrap_or_default();
            let words = || {
                format!("pod {name}: {why} {}", waiting.message.as_deref().unwrap_or_default())
                    .trim_end()
                    .to_owned()
            };
            match why {
                "" | "ContainerCreating" | "PodInitializing" => starting(),
                "CrashLoopBackOff" => crashing(&name, container),
                "ErrImageNeverPull" | "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName"
                | "ErrImageInspect" => Aspect::new(false, "AgentImageUnavailable", words()),
                _ => Aspect::new(false, AGENT_STARTING, words()),
            }
        }
        _ => starting(),
    }
}

fn unschedulable(status: &PodStatus) -> Option<String> {
    let scheduled = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled")?;
    (scheduled.status == "False").then(|| scheduled.message.clone().unwrap_or_default())
}

/// The last line of its log says more than its exit code.
fn crashing(pod: &str, container: &ContainerStatus) -> Aspect {
    let ended = |state: &Option<ContainerState>| state.as_ref().and_then(|state| state.terminated.clone());
    let ended = ended(&container.state).or_else(|| ended(&container.last_state));
    let (code, log) =
        ended.map_or((0, String::new()), |ended| (ended.exit_code, ended.message.unwrap_or_default()));
    let mut words =
        log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
    words.truncate(words.floor_char_boundary(MAX_WORDS));
    let words = if words.is_empty() { words } else { format!(": {words}") };
    Aspect::new(false, "AgentCrashing", format!("pod {pod} ended with exit code {code}{words}"))
}
