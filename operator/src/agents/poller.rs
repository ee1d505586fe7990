//! Poller of agents: at once when a pod changes, otherwise in a slow, spread round. Talks to the network.

use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use k8s_openapi::api::core::v1::Pod;
use lanyard_handoff::status::{AgentStatus, ConnectionState, DeviceStatus};
use tokio::task::JoinSet;
use tokio_util::time::{DelayQueue, delay_queue};

use crate::agents::client::{AskError, ask};
use crate::agents::report::Report;
use crate::backoff::spread_over;
use crate::kubernetes::key::Key;
use crate::kubernetes::labels::HTTP_PORT;
use crate::kubernetes::queues::Queues;
use crate::metrics::Metrics;
use crate::random;

/// Between two questions to an agent with which all is well.
const SLOW: Duration = Duration::from_secs(60);
/// Between two questions to an agent that may just start.
const SOON: Duration = Duration::from_millis(700);
/// Between two questions to one that is not: the first wait and the longest.
const FAST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(20));
/// Failed polls until an agent counts as silent: a starting agent opens its port a moment after its container runs.
const PATIENCE: u32 = 3;
/// Maximum number of concurrent requests.
const AT_ONCE: usize = 32;
/// Maximum number of unknown reasons that are logged: agents are not trusted to send few of them.
const MAX_UNKNOWN_REASONS: usize = 16;

/// The last report of every agent. Cheap to clone.
#[derive(Clone)]
pub struct Agents {
    reports: Arc<Mutex<HashMap<Key, Report>>>,
    untried: Arc<Mutex<HashSet<Key>>>,
    news: UnboundedSender<(Key, AgentChange)>,
}

/// Change that affects the polling of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentChange {
    /// Its pods changed: it is here now, or nowhere.
    Address(Option<IpAddr>),
    /// The agent has a credential that it has not tried yet.
    Credential,
}

impl Agents {
    /// Returns a poller without agents; the second part is for [`rounds`].
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<(Key, AgentChange)>) {
        let (news, changes) = unbounded();
        (Self { reports: Arc::default(), untried: Arc::default(), news }, changes)
    }

    /// Reports the agent's current pod to the poller, which polls the agent while its container runs and the pod is not
    /// being deleted.
    pub fn moved(&self, device: &Key, pod: Option<Arc<Pod>>) {
        let address = pod.filter(|pod| pod.metadata.deletion_timestamp.is_none()).and_then(|pod| {
            let status = pod.status.as_ref()?;
            let runs = status
                .container_statuses
                .iter()
                .flatten()
                .any(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()));
            // An agent never has its node's address.
            let own = status.pod_ip.as_ref().filter(|own| status.host_ip.as_ref() != Some(*own));
            if runs { own?.parse().ok() } else { None }
        });
        let _ = self.news.unbounded_send((device.clone(), AgentChange::Address(address)));
    }

    /// Sets whether the device waits for the proof of a credential; its agent is then polled more often.
    pub fn untried(&self, device: &Key, untried: bool) {
        let mut all = self.untried.lock();
        if !untried {
            all.remove(device);
        } else if all.insert(device.clone()) {
            let _ = self.news.unbounded_send((device.clone(), AgentChange::Credential));
        }
    }

    fn is_untried(&self, device: &Key) -> bool {
        self.untried.lock().contains(device)
    }

    /// Returns the last report of the agent; `None` if no agent runs or none was polled.
    #[must_use]
    pub fn report(&self, device: &Key) -> Option<Report> {
        self.reports.lock().get(device).cloned()
    }

    /// Keeps a report; returns whether it is news.
    fn keep(&self, device: &Key, report: Option<Report>) -> bool {
        let mut reports = self.reports.lock();
        if reports.get(device) == report.as_ref() {
            return false;
        }
        match report {
            Some(report) => reports.insert(device.clone(), report),
            None => reports.remove(device),
        };
        true
    }
}

/// An agent that is asked again and again.
struct PolledAgent {
    address: IpAddr,
    timer: Option<delay_queue::Key>,
    wait: Duration,
    in_vain: u32,
}

/// Asks agents for ever, and wakes their devices when there is news.
pub async fn rounds(
    agents: Agents,
    mut changes: UnboundedReceiver<(Key, AgentChange)>,
    queues: Queues,
    metrics: Metrics,
) {
    let mut round = Round {
        agents,
        queues,
        metrics,
        polled: HashMap::new(),
        due: DelayQueue::new(),
        answers: JoinSet::new(),
        unknown_reasons: HashSet::new(),
    };
    loop {
        tokio::select! {
            Some((device, news)) = changes.next() => match news {
                AgentChange::Address(address) => round.moved(device, address),
                AgentChange::Credential => round.hurry(&device),
            },
            Some(due) = round.due.next(), if round.answers.len() < AT_ONCE => round.ask(due.into_inner()),
            Some(Ok((device, address, answer))) = round.answers.join_next() => round.answered(&device, address, answer),
            else => return,
        }
    }
}

/// Returns whether everything is connected and no change is expected.
fn is_well(status: &AgentStatus) -> bool {
    let well = |device: &DeviceStatus| {
        device.connection.state == ConnectionState::Connected && device.problems.is_empty()
    };
    status.configuration_problem.is_none() && !status.devices.is_empty() && status.devices.iter().all(well)
}

struct Round {
    agents: Agents,
    queues: Queues,
    metrics: Metrics,
    polled: HashMap<Key, PolledAgent>,
    due: DelayQueue<Key>,
    answers: JoinSet<(Key, IpAddr, Result<AgentStatus, AskError>)>,
    unknown_reasons: HashSet<String>,
}

/// Returns the reasons of a newer agent that are not among the `logged` ones, and adds them.
fn new_reasons<'a>(status: &'a AgentStatus, logged: &mut HashSet<String>) -> Vec<&'a str> {
    let unknown = status.devices.iter().filter_map(|device| device.connection.unknown_reason.as_deref());
    unknown.filter(|name| logged.len() < MAX_UNKNOWN_REASONS && logged.insert((*name).to_owned())).collect()
}

impl Round {
    fn moved(&mut self, device: Key, address: Option<IpAddr>) {
        if let Some(PolledAgent { timer: Some(timer), .. }) = self.polled.remove(&device) {
            self.due.remove(&timer);
        }
        match address {
            Some(address) => {
                let timer = Some(self.due.insert(device.clone(), Duration::ZERO));
                self.polled.insert(device, PolledAgent { address, timer, wait: FAST.0, in_vain: 0 });
            }
            None => {
                self.agents.untried(&device, false);
                if self.agents.keep(&device, None) {
                    self.queues.device(&device);
                }
            }
        }
    }

    /// Polls the agent soon, instead of at its scheduled time.
    fn hurry(&mut self, device: &Key) {
        let Some(polled) = self.polled.get_mut(device) else { return };
        polled.wait = FAST.0;
        if let Some(timer) = &polled.timer {
            self.due.reset(timer, spread_over(FAST.0, random::random()));
        }
    }

    fn ask(&mut self, device: Key) {
        let Some(polled) = self.polled.get_mut(&device) else { return };
        polled.timer = None;
        let address = polled.address;
        self.answers.spawn(async move { (device, address, ask(SocketAddr::new(address, HTTP_PORT)).await) });
    }

    fn answered(&mut self, device: &Key, address: IpAddr, answer: Result<AgentStatus, AskError>) {
        self.metrics.polled(answer.is_ok());
        let Some(polled) =
            self.polled.get_mut(device).filter(|polled| polled.address == address && polled.timer.is_none())
        else {
            return;
        };
        let well = answer.as_ref().is_ok_and(is_well) && !self.agents.is_untried(device);
        polled.in_vain = if answer.is_ok() { 0 } else { polled.in_vain + 1 };
        if (1..PATIENCE).contains(&polled.in_vain) {
            polled.timer = Some(self.due.insert(device.clone(), SOON));
            return;
        }
        if let Ok(status) = &answer {
            for reason in new_reasons(status, &mut self.unknown_reasons) {
                tracing::warn!(agent = %device, reason, agent_version = status.agent_version,
                    "an agent reports a reason that this operator does not know: upgrade the operator");
            }
        }
        let report = answer.map_or_else(
            |error| Report::Silent(error.to_string()),
            |status| Report::Status(Box::new(status)),
        );
        let news = self.agents.keep(device, Some(report));
        let wait = if well { SLOW } else { polled.wait };
        polled.wait = if well || news { FAST.0 } else { (polled.wait * 2).min(FAST.1) };
        polled.timer = Some(self.due.insert(device.clone(), spread_over(wait, random::random())));
        if news {
            self.queues.device(device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_reason_is_logged_once_and_within_a_limit() {
        let status = |reason: &str| -> AgentStatus {
            let connection =
                format!(r#"{{"state":"Disconnected","since":"2026-01-02T03:04:05Z","reason":"{reason}"}}"#);
            let device = format!(r#"{{"name":"a","deviceId":"a","connection":{connection}}}"#);
            serde_json::from_str(&format!(r#"{{"version":1,"agentVersion":"9","devices":[{device}]}}"#))
                .unwrap()
        };
        let mut logged = HashSet::new();
        assert_eq!(new_reasons(&status("Throttled"), &mut logged), ["Throttled"]);
        assert!(new_reasons(&status("Throttled"), &mut logged).is_empty());
        assert!(new_reasons(&status("Timeout"), &mut logged).is_empty());
        for number in 1..MAX_UNKNOWN_REASONS {
            assert_eq!(new_reasons(&status(&format!("R{number}")), &mut logged).len(), 1);
        }
        assert!(new_reasons(&status("OneMore"), &mut logged).is_empty());
    }
}
