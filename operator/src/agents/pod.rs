//! State of an agent, from its pod. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus};
use kube::ResourceExt;

use crate::conditions::Aspect;
use crate::reason::Reason;

/// The reason while a pod starts normally.
pub const AGENT_STARTING: Reason = Reason::AgentStarting;
/// Time after its grace period after which a pod that still exists is reported.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Longest part of a log that a condition repeats.
const MAX_WORDS: usize = 400;

/// Returns the aspect of a pod that is starting. The words are always the same, so that a start is one status and not
/// five.
#[must_use]
pub fn starting() -> Aspect {
    Aspect::new(false, AGENT_STARTING, "the agent's pod is starting")
}

/// Returns the aspect of a pod of an older specification, which Kubernetes is about to replace.
#[must_use]
pub fn replaced() -> Aspect {
    Aspect::new(false, AGENT_STARTING, "the agent's pod is replaced by one of the new specification")
}

/// Returns the time until a terminating pod is overdue; `None` for one that is not terminating.
#[must_use]
pub fn overdue_in(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let until = pod.metadata.deletion_timestamp.as_ref()?.0;
    let late = now.duration_since(until);
    Some(Duration::try_from(SLACK - late).unwrap_or_default())
}

/// Returns the aspect of a pod that should have ended long ago. Its name is in use while it exists, so no new agent
/// can start beside one that may still run unseen.
#[must_use]
pub fn stuck(pod: &Pod, now: Timestamp) -> Option<Aspect> {
    overdue_in(pod, now).filter(Duration::is_zero)?;
    let until = pod.metadata.deletion_timestamp.as_ref()?.0;
    let fix = match pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
        Some(node) => format!(
            "restart node {node}; or, if you are sure that it is shut down, run `kubectl delete node {node}` or \
             `kubectl taint node {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`"
        ),
        None => {
            "check which program set the finalizers of the pod, and why it has not removed them".to_owned()
        }
    };
    let message = format!(
        "pod {} should have ended by {until} and still exists; a new pod starts only after it, so that the device is \
         never connected twice: {fix}",
        pod.name_any()
    );
    Some(Aspect::new(false, Reason::AgentPodStuck, message))
}

/// Returns whether the agent runs, and the reason if not.
#[must_use]
pub fn of_pod(pod: &Pod) -> Aspect {
    let name = pod.name_any();
    let status = pod.status.clone().unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() {
        return starting();
    }
    if let Some(why) = unschedulable(&status) {
        let claim = why.to_ascii_lowercase().contains("persistentvolumeclaim");
        let hint = if claim { " (`kubectl describe pvc` says more)" } else { "" };
        return Aspect::new(
            false,
            Reason::AgentUnschedulable,
            format!("no node takes pod {name}: {why}{hint}"),
        );
    }
    let Some(container) = status.container_statuses.iter().flatten().next() else { return starting() };
    match &container.state {
        Some(ContainerState { running: Some(_), .. }) => {
            Aspect::new(true, Reason::Running, format!("pod {name} runs"))
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
                | "ErrImageInspect" => Aspect::new(false, Reason::AgentImageUnavailable, words()),
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

/// Returns the aspect of a container that has ended. The last line of its log says more than its exit code.
fn crashing(pod: &str, container: &ContainerStatus) -> Aspect {
    let ended = |state: &Option<ContainerState>| state.as_ref().and_then(|state| state.terminated.clone());
    let ended = ended(&container.state).or_else(|| ended(&container.last_state));
    let (code, log) =
        ended.map_or((0, String::new()), |ended| (ended.exit_code, ended.message.unwrap_or_default()));
    let mut words =
        log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
    words.truncate(words.floor_char_boundary(MAX_WORDS));
    let words = if words.is_empty() { words } else { format!(": {words}") };
    Aspect::new(false, Reason::AgentCrashing, format!("pod {pod} ended with exit code {code}{words}"))
}
