//! One look at one group, and how often groups are looked at. Writes the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::runtime::controller::Action;
use lanyard_crds::ProvisioningGroup;
use lanyard_crds::status::ProvisioningGroupStatus;

use super::apply::{RETRY_REFUSED, Refusals};
use super::observe::observe;
use super::pace::Paces;
use super::report::Looked;
use super::validate::{ends, issuers, validate};
use super::verify::verify;
use super::{lists, report};
use crate::backoff::{Backoff, spread_over};
use crate::cluster::answer::Answers;
use crate::cluster::claims::Key;
use crate::cluster::read::Reads;
use crate::cluster::view::View;
use crate::device;
use crate::device::reconcile::{ReconcileError, Told};
use crate::device::remembered::Remembered;
use crate::fault::Reason;
use crate::metrics::Metrics;
use crate::permit::{self, Rules};

/// Everything hears of changes by watches; this only catches what got lost.
const RESYNC: Duration = Duration::from_secs(10 * 60);

/// The rest of a long list.
const NEXT_PART: Duration = Duration::from_millis(100);
/// Something ends soon.
const WAIT: Duration = Duration::from_secs(2);

/// With what groups are looked at.
pub struct Context {
    /// The API server, for devices of lists.
    pub client: kube::Client,
    /// What was written.
    pub remembered: Arc<Remembered>,
    /// Devices that it has refused.
    pub refusals: Refusals,
    /// Lists that were written a short while ago.
    pub paces: Paces,
    /// Secrets and trusted CAs.
    pub reads: Arc<Reads>,
    /// The mirrors.
    pub view: Arc<View>,
    /// Status and events.
    pub answers: Answers,
    /// What the administrator allows.
    pub rules: Arc<Rules>,
    /// Counters.
    pub metrics: Metrics,
    /// Labels of every object that is made.
    pub common_labels: BTreeMap<String, String>,
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
        Ok(looked) => {
            let fault = looked.fault().map(|fault| fault.reason.as_str());
            context.metrics.reconciled("ProvisioningGroup", started.elapsed(), fault);
            context.backoff.succeeded(&key);
            Ok(Action::requeue(next_look(&looked)))
        }
        Err(error) => {
            let error = ReconcileError(error);
            context.metrics.failed("ProvisioningGroup", started.elapsed(), error.reason());
            Err(error)
        }
    }
}

/// When to look again at a group of which nothing is heard.
fn next_look(looked: &Looked) -> Duration {
    let work = next_work(looked);
    looked.lists.later().map_or(work, |later| later.min(work))
}

fn next_work(looked: &Looked) -> Duration {
    let refused = looked.lists.fault().is_some_and(|fault| fault.reason == Reason::Refused);
    match &looked.lists.import {
        Some(Ok(imported)) if imported.more => NEXT_PART,
        Some(Ok(imported)) if imported.left > 0 => WAIT,
        _ if looked.lists.works() => WAIT,
        Some(Ok(imported)) if imported.refused => spread_over(RETRY_REFUSED, rand::random()),
        _ if refused => spread_over(RETRY_REFUSED, rand::random()),
        _ => {
            let again =
                looked.verification.again_at.map(|again_at| again_at.duration_since(Timestamp::now()));
            let again = again.map(|again| Duration::try_from(again).unwrap_or_default().max(WAIT));
            let resync = spread_over(RESYNC, rand::random());
            again.map_or(resync, |again| again.min(resync))
        }
    }
}

async fn look(group: Arc<ProvisioningGroup>, context: &Context, key: &Key) -> Result<Looked, kube::Error> {
    let observed = observe(&context.reads, &context.view, group).await?;
    let now = Timestamp::now();
    context.metrics.issuers(key, &ends(&observed));
    let mut usables = issuers(&observed, now);
    usables.only_permitted(|slot| permit::issuer(&observed, slot, &context.rules));
    let valid = permit::group(&observed, &context.rules).and_then(|()| validate(&observed, &usables));
    let hands = device::apply::Hands {
        client: &context.client,
        view: &context.view,
        remembered: &context.remembered,
        metrics: &context.metrics,
        common_labels: &context.common_labels,
    };
    let verification = verify(&observed, &usables, &hands, now).await?;
    let lists = lists::work(&observed, valid.as_ref().err(), context).await?;
    let looked = Looked { valid, verification, lists };
    let group = &observed.group;
    let version = group.metadata.resource_version.clone();
    let before =
        context.told.before(key, version.as_ref()).or_else(|| group.status.clone()).unwrap_or_default();
    let after = report::status(&observed, &before, &looked, Timestamp::now());
    if after != before && context.answers.status(&**group, &after).await? {
        context.told.put(key.clone(), version, after.clone());
        if let Some(event) = report::happened(&before, &after) {
            context.answers.event(&**group, event);
        }
    }
    Ok(looked)
}

/// How long a failed group waits.
#[must_use]
pub fn after_error(group: &Arc<ProvisioningGroup>, error: &ReconcileError, context: &Arc<Context>) -> Action {
    let key = Key::of(&**group);
    let wait = context.backoff.failed(key.clone(), rand::random());
    tracing::warn!(group = %key, %error, ?wait, "trying again");
    Action::requeue(wait)
}
