//! One look at one group, and how often groups are looked at. Writes the cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::runtime::controller::Action;
use lanyard_crds::ProvisioningGroup;
use lanyard_crds::status::ProvisioningGroupStatus;

use super::observe::observe;
use super::report;
use super::validate::validate;
use crate::backoff::{Backoff, spread_over};
use crate::cluster::answer::Answers;
use crate::cluster::claims::Key;
use crate::cluster::read::Reads;
use crate::cluster::view::View;
use crate::device::reconcile::{ReconcileError, Told};
use crate::fault::Fault;
use crate::metrics::Metrics;

/// Everything hears of changes by watches; this only catches what got lost.
const RESYNC: Duration = Duration::from_secs(10 * 60);

/// With what groups are looked at.
pub struct Context {
    /// Secrets and trusted CAs.
    pub reads: Arc<Reads>,
    /// The mirrors.
    pub view: Arc<View>,
    /// Status and events.
    pub answers: Answers,
    /// Counters.
    pub metrics: Metrics,
    /// Failures in a row.
    pub backoff: Backoff<Key>,
    /// Statuses that the mirror does not have yet.
    pub told: Told<ProvisioningGroupStatus>,
}

/// One look at one group.
///
/// # Errors
/// What trying again may help.
pub async fn reconcile(
    group: Arc<ProvisioningGroup>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let key = Key::of(&*group);
    if group.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    match look(group, &context, &key).await {
        Ok(fault) => {
            context.metrics.reconciled(
                "ProvisioningGroup",
                started.elapsed(),
                fault.map(|fault| fault.reason.as_str()),
            );
            context.backoff.succeeded(&key);
            Ok(Action::requeue(spread_over(RESYNC, rand::random())))
        }
        Err(error) => {
            let error = ReconcileError(error);
            context.metrics.failed("ProvisioningGroup", started.elapsed(), error.reason());
            Err(error)
        }
    }
}

async fn look(
    group: Arc<ProvisioningGroup>,
    context: &Context,
    key: &Key,
) -> Result<Option<Fault>, kube::Error> {
    let observed = observe(&context.reads, &context.view, group).await?;
    let valid = validate(&observed);
    let group = &observed.group;
    let version = group.metadata.resource_version.clone();
    let before =
        context.told.before(key, version.as_ref()).or_else(|| group.status.clone()).unwrap_or_default();
    let after = report::status(&observed, &before, &valid, Timestamp::now());
    if after != before && context.answers.status(&**group, &after).await? {
        context.told.put(key.clone(), version, after.clone());
        if let Some(event) = report::happened(&before, &after) {
            context.answers.event(&**group, event);
        }
    }
    Ok(valid.err())
}

/// How long a failed group waits.
#[must_use]
pub fn after_error(group: &Arc<ProvisioningGroup>, error: &ReconcileError, context: &Arc<Context>) -> Action {
    let key = Key::of(&**group);
    let wait = context.backoff.failed(key.clone(), rand::random());
    tracing::warn!(group = %key, %error, ?wait, "trying again");
    Action::requeue(wait)
}
