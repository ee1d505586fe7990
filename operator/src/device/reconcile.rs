//! One look at one device, stage by stage, and how often devices are looked at. Writes the cluster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use lanyard_crds::IoTDevice;
use lanyard_crds::status::IoTDeviceStatus;

use super::agents::Agents;
use super::apply::Hands;
use super::credentials_ready;
use super::defaults::AgentDefaults;
use super::issue::{Issue, Known, Pending, issue};
use super::observe::{AgentSeen, Observed, observe};
use super::plan::{plan, withdrawal};
use super::pod::overdue_in;
use super::remembered::Remembered;
use super::report::{self, Outcome};
use super::validate::validate;
use super::workshop::Workshop;
use crate::backoff::{Backoff, spread_over};
use crate::cluster::answer::Answers;
use crate::cluster::claims::Key;
use crate::cluster::read::Reads;
use crate::cluster::view::View;
use crate::conditions::{self, READY};
use crate::credential::forge::Forge;
use crate::credential::turns::{Turn, Turns};
use crate::fault::Reason;
use crate::metrics::Metrics;
use crate::permit::{self, Rules};

/// Everything hears of changes by watches; this only catches what got lost.
const RESYNC: Duration = Duration::from_secs(30 * 60);
/// A user's correction is heard of by watches; this only catches what got lost.
const RESYNC_FAULTY: Duration = Duration::from_secs(5 * 60);
/// A refusal may depend on what is not watched, such as quotas and admission rules.
const RETRY_REFUSED: Duration = Duration::from_secs(30);
/// Something ends soon.
const WAIT: Duration = Duration::from_secs(2);
/// Timers may be early by a fraction.
const A_MOMENT: Duration = Duration::from_millis(50);
/// Why Kubernetes makes no pod stands in events, which are not watched.
const POD_MUST_APPEAR: Duration = Duration::from_secs(5);

/// With what devices are looked at.
pub struct Context {
    /// The API server, for reads and writes of one object.
    pub client: kube::Client,
    /// Secrets and trusted CAs.
    pub reads: Arc<Reads>,
    /// The mirrors.
    pub view: Arc<View>,
    /// What agents say.
    pub agents: Agents,
    /// What was written.
    pub remembered: Arc<Remembered>,
    /// Where private keys are made.
    pub forge: Arc<Forge>,
    /// Who of a group moves to another key or CA when.
    pub turns: Arc<Turns>,
    /// Status and events.
    pub answers: Answers,
    /// Settings for all agents.
    pub defaults: AgentDefaults,
    /// What the administrator allows.
    pub rules: Arc<Rules>,
    /// Counters.
    pub metrics: Metrics,
    /// Failures in a row.
    pub backoff: Backoff<Key>,
    /// Statuses that the mirror does not have yet.
    pub told: Told<IoTDeviceStatus>,
}

/// The last status that was written, until the mirror has it: a look in between must not take the older one for the last.
pub struct Told<S>(Mutex<HashMap<Key, (Option<String>, S)>>);

impl<S> Default for Told<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: Clone> Told<S> {
    /// The status before this look: the written one while the mirror still has the version that it was written upon.
    pub fn before(&self, key: &Key, version: Option<&String>) -> Option<S> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told.get(key) {
            Some((upon, status)) if upon.as_ref() == version => Some(status.clone()),
            Some(_) => {
                told.remove(key);
                None
            }
            None => None,
        }
    }

    /// A status was written upon this version.
    pub fn put(&self, key: Key, version: Option<String>, status: S) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (version, status));
    }
}

/// A look that is tried again.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not do what was asked: {0}")]
pub struct ReconcileError(#[source] pub kube::Error);

impl ReconcileError {
    /// Every reason.
    pub const REASONS: [&str; 5] = ["ApiConflict", "ApiForbidden", "ApiBusy", "ApiError", "ApiUnreachable"];

    /// In one word, for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match &self.0 {
            kube::Error::Api(status) if status.code == 409 => "ApiConflict",
            kube::Error::Api(status) if status.code == 403 => "ApiForbidden",
            kube::Error::Api(status) if status.code == 429 => "ApiBusy",
            kube::Error::Api(_) => "ApiError",
            _ => "ApiUnreachable",
        }
    }
}

/// One look at one device.
///
/// # Errors
/// What trying again may help.
pub async fn reconcile(device: Arc<IoTDevice>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let key = Key::of(&*device);
    if device.metadata.deletion_timestamp.is_some() {
        // A finalizer may keep the object for long. It claims no identity any more, so its agent must not be connected.
        let withdrawal = withdrawal(&device, Reason::DuplicateDeviceId);
        hands(&context).withdraw(&device, withdrawal).await.map_err(ReconcileError)?;
        return Ok(Action::await_change());
    }
    let looked = Box::pin(look(device, &context, &key)).await;
    match looked {
        Ok((outcome, Seen { agent, turn })) => {
            let fault = outcome.fault().map(|fault| fault.reason);
            context.metrics.reconciled("IoTDevice", started.elapsed(), fault.map(Reason::as_str));
            context.backoff.succeeded(&key);
            let now = Timestamp::now();
            let next = match fault {
                Some(Reason::Refused | Reason::DuplicateDeviceId) => RETRY_REFUSED,
                Some(_) => RESYNC_FAULTY,
                None => next_look(&outcome, &agent, now),
            };
            let next = spread_over(next, rand::random());
            let next = turn.map_or(next, |turn| next.min(turn + A_MOMENT));
            Ok(Action::requeue(due(&outcome, now).map_or(next, |due| due.min(next))))
        }
        Err(error) => {
            let error = ReconcileError(error);
            context.metrics.failed("IoTDevice", started.elapsed(), error.reason());
            Err(error)
        }
    }
}

/// When to look again at a device whose user has nothing to change.
fn next_look(outcome: &Outcome, agent: &AgentSeen, now: Timestamp) -> Duration {
    let ends = agent.pod.as_ref().and_then(|pod| overdue_in(pod, now));
    match (outcome.waits(), ends, &agent.pod) {
        // It has been told, and a watch tells when it is over.
        (_, Some(Duration::ZERO), _) => RESYNC_FAULTY,
        (Some(wait), _, _) => wait.max(WAIT),
        // No watch tells that a time is over.
        (None, Some(left), _) => left + WAIT,
        (None, None, None) if agent.no_pod.is_some() => RETRY_REFUSED,
        (None, None, None) if outcome.wants_no_agent() => RESYNC,
        (None, None, None) => POD_MUST_APPEAR,
        (None, None, Some(_)) => RESYNC,
    }
}

/// When something has to be done with the credentials at a moment that is known: then, and neither before nor after.
fn due(outcome: &Outcome, now: Timestamp) -> Option<Duration> {
    let Outcome::Applied(_, applied) = outcome else { return None };
    if let Some(Pending::Turn(Turn::In(wait) | Turn::Paused(wait))) = applied.issued.pending {
        return Some(wait);
    }
    let next = credentials_ready::next(&applied.issued, now)?;
    Some(Duration::try_from(next.duration_since(now)).unwrap_or_default() + A_MOMENT)
}

/// What decides on the next look, besides the outcome.
struct Seen {
    agent: AgentSeen,
    turn: Option<Duration>,
}

impl Seen {
    fn of(observed: Observed) -> Self {
        Self { agent: observed.agent, turn: observed.contest.turn }
    }
}

async fn look(
    mut device: Arc<IoTDevice>,
    context: &Context,
    key: &Key,
) -> Result<(Outcome, Seen), kube::Error> {
    // Admission and proof stand in the status: one that the mirror does not have yet counts already.
    if let Some(told) = context.told.before(key, device.metadata.resource_version.as_ref()) {
        Arc::make_mut(&mut device).status = Some(told);
    }
    let observed =
        observe(&context.reads, &context.view, &context.agents, &context.remembered, device).await?;
    let device = &observed.device;
    let version = device.metadata.resource_version.clone();
    let before = device.status.clone().unwrap_or_default();
    let outcome = Box::pin(act(&observed, &before, context)).await?;
    let after = report::status(&observed, &before, &outcome, Timestamp::now());
    if after != before {
        if !context.answers.status(&**device, &after).await? {
            return Ok((outcome, Seen::of(observed)));
        }
        context.told.put(key.clone(), version, after.clone());
    }
    for event in report::happened(&before, &after, &outcome) {
        context.answers.event(&**device, event);
    }
    Ok((outcome, Seen::of(observed)))
}

fn hands(context: &Context) -> Hands<'_> {
    Hands {
        client: &context.client,
        view: &context.view,
        remembered: &context.remembered,
        metrics: &context.metrics,
        common_labels: &context.defaults.common_labels,
    }
}

/// Validate, issue, plan, apply, as far as it goes.
async fn act(
    observed: &Observed,
    before: &IoTDeviceStatus,
    context: &Context,
) -> Result<Outcome, kube::Error> {
    let device = &observed.device;
    let hands = hands(context);
    let means = Workshop::new(context, observed);
    let said = report::said_of(&observed.agent, &device.name_any());
    let known =
        Known { said: said.and_then(|said| said.credential.as_ref()), told: before.credentials.as_ref() };
    let planned = validate(observed).and_then(|valid| {
        permit::device(observed, &valid, &context.rules)?;
        match issue(&valid, observed, known, &means)? {
            Issue::Done(issued) => {
                let plan = plan(device, &valid, *issued, &context.defaults)?;
                Ok(Some((valid, plan)))
            }
            Issue::Making => Ok(None),
        }
    });
    match planned {
        Ok(None) => Ok(Outcome::Making),
        Ok(Some((valid, plan))) => {
            let applied = Box::pin(hands.apply(observed, plan)).await?;
            means.applied(&applied);
            Ok(Outcome::Applied(Box::new(valid), applied))
        }
        Err(fault) if fault.reason.withdraws() => {
            hands.withdraw(device, withdrawal(device, fault.reason)).await?;
            let told = conditions::find(&before.conditions, READY).map(|ready| ready.reason.as_str());
            // The condition does not name an object of another namespace; the administrator finds it here.
            if let (Some(holder), true) = (&observed.contest.holder, told != Some(fault.reason.as_str())) {
                tracing::warn!(device = %Key::of(&**device), %holder, "refused: the identity belongs to another object");
            }
            Ok(Outcome::Withdrawn(fault))
        }
        Err(fault) => {
            tracing::debug!(device = %device.name_any(), %fault, "waits for somebody");
            Ok(Outcome::Faulty(fault))
        }
    }
}

/// How long a failed device waits.
#[must_use]
pub fn after_error(device: &Arc<IoTDevice>, error: &ReconcileError, context: &Arc<Context>) -> Action {
    let key = Key::of(&**device);
    let wait = context.backoff.failed(key.clone(), rand::random());
    tracing::warn!(device = %key, %error, ?wait, "trying again");
    Action::requeue(wait)
}
