//! Reconciliation of one group, and its intervals. Writes the cluster.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::controller::Action;
use lanyard_crds::ProvisioningGroup;

use super::observe::observe;
use super::report;
use super::report::GroupOutcome;
use super::validate::{ends, issuers, validate};
use super::verify::verify;
use crate::backoff::spread_over;
use crate::clock;
use crate::device::apply::write::Applier;
use crate::group::context::GroupContext;
use crate::group::lists::apply::RETRY_REFUSED;
use crate::group::lists::process;
use crate::kubernetes::error::ReconcileError;
use crate::kubernetes::key::Key;
use crate::permit::{self};
use crate::random;
use crate::reason::Reason;

/// Watches report changes; this interval only repairs what was lost.
const RESYNC: Duration = Duration::from_secs(10 * 60);

/// The rest of a long list.
const NEXT_PART: Duration = Duration::from_millis(100);
/// Something ends soon.
const WAIT: Duration = Duration::from_secs(2);

/// Reconciles one group.
///
/// # Errors
/// What trying again may help.
pub async fn reconcile(
    group: Arc<ProvisioningGroup>,
    context: Arc<GroupContext>,
) -> Result<Action, ReconcileError> {
    let started = clock::instant();
    let key = Key::of(&*group);
    if group.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    match reconcile_once(group, &context, &key).await {
        Ok(outcome) => {
            let fault = outcome.fault().map(|fault| fault.reason);
            context.metrics.reconciled("ProvisioningGroup", started.elapsed(), fault);
            context.backoff.succeeded(&key);
            Ok(Action::requeue(next_look(&outcome)))
        }
        Err(error) => {
            let error = ReconcileError(error);
            context.metrics.failed("ProvisioningGroup", started.elapsed(), error.reason());
            Err(error)
        }
    }
}

/// Returns the time until the next reconcile of a group without changes.
fn next_look(outcome: &GroupOutcome) -> Duration {
    let work = next_work(outcome);
    outcome.lists.later().map_or(work, |later| later.min(work))
}

fn next_work(outcome: &GroupOutcome) -> Duration {
    let refused = outcome.lists.fault().is_some_and(|fault| fault.reason == Reason::Refused);
    match &outcome.lists.import {
        Some(Ok(imported)) if imported.more => NEXT_PART,
        Some(Ok(imported)) if imported.left > 0 => WAIT,
        _ if outcome.lists.works() => WAIT,
        Some(Ok(imported)) if imported.refused => spread_over(RETRY_REFUSED, random::random()),
        _ if refused => spread_over(RETRY_REFUSED, random::random()),
        _ => {
            let again =
                outcome.verification.again_at.map(|again_at| again_at.duration_since(clock::timestamp()));
            let again = again.map(|again| Duration::try_from(again).unwrap_or_default().max(WAIT));
            let resync = spread_over(RESYNC, random::random());
            again.map_or(resync, |again| again.min(resync))
        }
    }
}

async fn reconcile_once(
    group: Arc<ProvisioningGroup>,
    context: &GroupContext,
    key: &Key,
) -> Result<GroupOutcome, kube::Error> {
    let observed = observe(&context.reads, &context.view, group).await?;
    let now = clock::timestamp();
    context.metrics.issuers(key, &ends(&observed));
    let mut usables = issuers(&observed, now);
    usables.only_permitted(|slot| permit::issuer(&observed, slot, &context.rules));
    let valid = permit::group(&observed, &context.rules).and_then(|()| validate(&observed, &usables));
    let applier = Applier {
        client: &context.client,
        view: &context.view,
        remembered: &context.remembered,
        metrics: &context.metrics,
        common_labels: &context.common_labels,
    };
    let verification = verify(&observed, &usables, &applier, now).await?;
    let lists = process::work(&observed, valid.as_ref().err(), context).await?;
    let outcome = GroupOutcome { valid, verification, lists };
    let group = &observed.group;
    let version = group.metadata.resource_version.clone();
    let before = context
        .written_statuses
        .before(key, version.as_ref())
        .or_else(|| group.status.clone())
        .unwrap_or_default();
    let after = report::status(&observed, &before, &outcome, clock::timestamp());
    if after != before && context.status_writer.status(&**group, &after).await? {
        context.written_statuses.put(key.clone(), version, after.clone());
        if let Some(event) = report::happened(&before, &after) {
            context.status_writer.event(&**group, event);
        }
    }
    Ok(outcome)
}

/// Returns the delay after a failed reconcile.
#[must_use]
pub fn after_error(
    group: &Arc<ProvisioningGroup>,
    error: &ReconcileError,
    context: &Arc<GroupContext>,
) -> Action {
    let key = Key::of(&**group);
    let wait = context.backoff.failed(key.clone(), random::random());
    tracing::warn!(group = %key, %error, ?wait, "reconcile failed; retrying");
    Action::requeue(wait)
}
