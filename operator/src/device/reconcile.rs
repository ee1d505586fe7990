//! Reconciliation of one device, stage by stage. Writes the cluster.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use lanyard_crds::IoTDevice;
use lanyard_crds::status::IoTDeviceStatus;

use crate::agents::report::device_report;
use crate::clock;
use crate::conditions::{self, READY};
use crate::device::apply::write::Applier;
use crate::device::context::DeviceContext;
use crate::device::issue::credential::{Issue, KnownCredential, issue};
use crate::device::issue::environment::ReconcileEnvironment;
use crate::device::observe::observation::DeviceObservation;
use crate::device::observe::read::observe;
use crate::device::plan::objects::{Plan, plan, withdrawal};
use crate::device::report::outcome::Outcome;
use crate::device::report::status::{happened, status};
use crate::device::requeue::{LastSeen, next_reconcile};
use crate::device::validate::effective::{EffectiveDevice, validate};
use crate::fault::Fault;
use crate::kubernetes::error::ReconcileError;
use crate::kubernetes::key::Key;
use crate::permit;
use crate::random;
use crate::reason::Reason;

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
    match Box::pin(reconcile_once(device, &context, &key)).await {
        Ok((outcome, last_seen)) => {
            let fault = outcome.fault().map(|fault| fault.reason);
            context.metrics.reconciled("IoTDevice", started.elapsed(), fault);
            context.backoff.succeeded(&key);
            Ok(Action::requeue(next_reconcile(&outcome, &last_seen, clock::timestamp(), random::random())))
        }
        Err(error) => {
            let error = ReconcileError(error);
            context.metrics.failed("IoTDevice", started.elapsed(), error.reason());
            Err(error)
        }
    }
}

/// Observes the device, runs the stages, and reports the outcome.
async fn reconcile_once(
    mut device: Arc<IoTDevice>,
    context: &DeviceContext,
    key: &Key,
) -> Result<(Outcome, LastSeen), kube::Error> {
    // The status contains admission and proof: one that the cache does not have yet counts already.
    if let Some(status) = context.written_statuses.before(key, device.metadata.resource_version.as_ref()) {
        Arc::make_mut(&mut device).status = Some(status);
    }
    let observed =
        observe(&context.reads, &context.view, &context.agents, &context.remembered, device).await?;
    let before = observed.device.status.clone().unwrap_or_default();
    let outcome = Box::pin(act(&observed, &before, context)).await?;
    report(&observed, &before, &outcome, context).await?;
    Ok((outcome, LastSeen::of(observed)))
}

/// Runs the stages validate, issue, plan and apply, until one stops.
async fn act(
    observed: &DeviceObservation,
    before: &IoTDeviceStatus,
    context: &DeviceContext,
) -> Result<Outcome, kube::Error> {
    let environment = ReconcileEnvironment::new(context, observed);
    match prepare(observed, before, context, &environment) {
        Ok(Some((effective, plan))) => {
            let applied = Box::pin(applier(context).apply(observed, plan)).await?;
            environment.applied(&applied);
            Ok(Outcome::Applied(Box::new(effective), applied))
        }
        Ok(None) => Ok(Outcome::Making),
        Err(fault) if fault.reason.withdraws() => {
            applier(context).withdraw(&observed.device, withdrawal(&observed.device, fault.reason)).await?;
            log_holder(observed, before, &fault);
            Ok(Outcome::Withdrawn(fault))
        }
        Err(fault) => {
            tracing::debug!(device = %observed.device.name_any(), %fault, "waits for a user");
            Ok(Outcome::Faulty(fault))
        }
    }
}

/// Runs the pure stages. Returns the plan, or nothing while the device's private key is being generated.
fn prepare(
    observed: &DeviceObservation,
    before: &IoTDeviceStatus,
    context: &DeviceContext,
    environment: &ReconcileEnvironment<'_>,
) -> Result<Option<(EffectiveDevice, Plan)>, Fault> {
    let device = &observed.device;
    let effective = validate(observed)?;
    permit::device(observed, &effective, &context.rules)?;
    let reported = device_report(&observed.agent, &device.name_any());
    let known = KnownCredential {
        reported: reported.and_then(|reported| reported.credential.as_ref()),
        recorded: before.credentials.as_ref(),
    };
    match issue(&effective, observed, known, environment)? {
        Issue::Done(issued) => {
            let plan = plan(device, &effective, *issued, &context.defaults);
            Ok(Some((effective, plan)))
        }
        Issue::Making => Ok(None),
    }
}

/// Writes the status and the events, if they changed.
async fn report(
    observed: &DeviceObservation,
    before: &IoTDeviceStatus,
    outcome: &Outcome,
    context: &DeviceContext,
) -> Result<(), kube::Error> {
    let device = &*observed.device;
    let after = status(observed, before, outcome, clock::timestamp());
    if after != *before {
        if !context.status_writer.status(device, &after).await? {
            return Ok(());
        }
        let version = device.metadata.resource_version.clone();
        context.written_statuses.put(Key::of(device), version, after.clone());
    }
    for event in happened(before, &after, outcome) {
        context.status_writer.event(device, event);
    }
    Ok(())
}

/// Logs once which object has the identity of a refused device: the condition does not name an object of another
/// namespace, and the administrator finds it in the log.
fn log_holder(observed: &DeviceObservation, before: &IoTDeviceStatus, fault: &Fault) {
    let before = conditions::find(&before.conditions, READY).map(|ready| ready.reason.as_str());
    if let (Some(holder), true) = (&observed.contest.holder, before != Some(fault.reason.as_str())) {
        tracing::warn!(device = %Key::of(&*observed.device), %holder, "refused: the identity belongs to another object");
    }
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

/// Returns the delay after a failed reconcile.
#[must_use]
pub fn after_error(device: &Arc<IoTDevice>, error: &ReconcileError, context: &Arc<DeviceContext>) -> Action {
    let key = Key::of(&**device);
    let wait = context.backoff.failed(key.clone(), random::random());
    tracing::warn!(device = %key, %error, ?wait, "reconcile failed; retrying");
    Action::requeue(wait)
}
