//! Reconciliation of one device, stage by stage, and its intervals. Writes the cluster.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use lanyard_crds::IoTDevice;
use lanyard_crds::status::IoTDeviceStatus;

use crate::agents::pod::overdue_in;
use crate::agents::report::AgentSeen;
use crate::agents::report::said_of;
use crate::backoff::spread_over;
use crate::clock;
use crate::conditions::{self, READY};
use crate::credential::rollover_queue::RolloverTurn;
use crate::device::apply::write::Applier;
use crate::device::context::DeviceContext;
use crate::device::issue::credential::KnownCredential;
use crate::device::issue::credential::{Issue, Pending, issue};
use crate::device::issue::environment::ReconcileEnvironment;
use crate::device::observe::observation::DeviceObservation;
use crate::device::observe::read::observe;
use crate::device::plan::objects::{plan, withdrawal};
use crate::device::report::credentials_ready;
use crate::device::report::outcome::Outcome;
use crate::device::report::status::{happened, status};
use crate::device::validate::effective::validate;
use crate::kubernetes::error::ReconcileError;
use crate::kubernetes::key::Key;
use crate::permit::{self};
use crate::random;
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

/// Reconciles one device.
///
/// # Errors
/// What trying again may help.
pub async fn reconcile(
    device: Arc<IoTDevice>,
    context: Arc<DeviceContext>,
) -> Result<Action, ReconcileError> {
    let started = clock::instant();
    let key = Key::of(&*device);
    if device.metadata.deletion_timestamp.is_some() {
        // A finalizer may keep the object for long. It claims no identity any more, so its agent must not be connected.
        let withdrawal = withdrawal(&device, Reason::DuplicateDeviceId);
        applier(&context).withdraw(&device, withdrawal).await.map_err(ReconcileError)?;
        return Ok(Action::await_change());
    }
    let result = Box::pin(reconcile_once(device, &context, &key)).await;
    match result {
        Ok((outcome, LastSeen { agent, turn })) => {
            let fault = outcome.fault().map(|fault| fault.reason);
            context.metrics.reconciled("IoTDevice", started.elapsed(), fault);
            context.backoff.succeeded(&key);
            let now = clock::timestamp();
            let next = match fault {
                Some(Reason::Refused | Reason::DuplicateDeviceId) => RETRY_REFUSED,
                Some(_) => RESYNC_FAULTY,
                None => next_reconciliation(&outcome, &agent, now),
            };
            let next = spread_over(next, random::random());
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

/// Returns the time until the next reconcile of a device whose user has nothing to fix.
fn next_reconciliation(outcome: &Outcome, agent: &AgentSeen, now: Timestamp) -> Duration {
    let ends = agent.pod.as_ref().and_then(|pod| overdue_in(pod, now));
    match (outcome.waits(), ends, &agent.pod) {
        // The user has been told; a watch reports the end.
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

/// Inputs for the time of the next reconcile, besides the outcome.
struct LastSeen {
    agent: AgentSeen,
    turn: Option<Duration>,
}

impl LastSeen {
    fn of(observed: DeviceObservation) -> Self {
        Self { agent: observed.agent, turn: observed.contest.turn }
    }
}

async fn reconcile_once(
    mut device: Arc<IoTDevice>,
    context: &DeviceContext,
    key: &Key,
) -> Result<(Outcome, LastSeen), kube::Error> {
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
    let after = status(&observed, &before, &outcome, clock::timestamp());
    if after != before {
        if !context.answers.status(&**device, &after).await? {
            return Ok((outcome, LastSeen::of(observed)));
        }
        context.told.put(key.clone(), version, after.clone());
    }
    for event in happened(&before, &after, &outcome) {
        context.answers.event(&**device, event);
    }
    Ok((outcome, LastSeen::of(observed)))
}

fn applier(context: &DeviceContext) -> Applier<'_> {
    Applier {
        client: &context.client,
        view: &context.view,
        remembered: &context.remembered,
        metrics: &context.metrics,
        common_labels: &context.defaults.common_labels,
    }
}

/// Runs the stages validate, issue, plan and apply, until one refuses.
async fn act(
    observed: &DeviceObservation,
    before: &IoTDeviceStatus,
    context: &DeviceContext,
) -> Result<Outcome, kube::Error> {
    let device = &observed.device;
    let applier = applier(context);
    let means = ReconcileEnvironment::new(context, observed);
    let said = said_of(&observed.agent, &device.name_any());
    let known = KnownCredential {
        said: said.and_then(|said| said.credential.as_ref()),
        told: before.credentials.as_ref(),
    };
    let planned = validate(observed).and_then(|valid| {
        permit::device(observed, &valid, &context.rules)?;
        match issue(&valid, observed, known, &means)? {
            Issue::Done(issued) => {
                let plan = plan(device, &valid, *issued, &context.defaults);
                Ok(Some((valid, plan)))
            }
            Issue::Making => Ok(None),
        }
    });
    match planned {
        Ok(None) => Ok(Outcome::Making),
        Ok(Some((valid, plan))) => {
            let applied = Box::pin(applier.apply(observed, plan)).await?;
            means.applied(&applied);
            Ok(Outcome::Applied(Box::new(valid), applied))
        }
        Err(fault) if fault.reason.withdraws() => {
            applier.withdraw(device, withdrawal(device, fault.reason)).await?;
            let told = conditions::find(&before.conditions, READY).map(|ready| ready.reason.as_str());
            // The condition does not name an object of another namespace; the administrator finds it here.
            if let (Some(holder), true) = (&observed.contest.holder, told != Some(fault.reason.as_str())) {
                tracing::warn!(device = %Key::of(&**device), %holder, "refused: the identity belongs to another object");
            }
            Ok(Outcome::Withdrawn(fault))
        }
        Err(fault) => {
            tracing::debug!(device = %device.name_any(), %fault, "waits for a user");
            Ok(Outcome::Faulty(fault))
        }
    }
}

/// Returns the delay after a failed reconcile.
#[must_use]
pub fn after_error(device: &Arc<IoTDevice>, error: &ReconcileError, context: &Arc<DeviceContext>) -> Action {
    let key = Key::of(&**device);
    let wait = context.backoff.failed(key.clone(), random::random());
    tracing::warn!(device = %key, %error, ?wait, "reconcile failed; retrying");
    Action::requeue(wait)
}
