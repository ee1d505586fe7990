//! Makes the devices of a list agree with it, some at a time. Writes the cluster.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use lanyard_crds::status::ImportMistake;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use super::import::{is_created, object};
use crate::clock;
use crate::group::lists::import::{DesiredDevice, ImportWork};
use crate::kubernetes::key::Key;
use crate::metrics::Metrics;

/// Field manager of the fields that a list sets, and of no others.
pub const FIELD_MANAGER: &str = "lanyard-import";
/// Maximum number of devices written in one reconciliation. The status shows the progress, and other groups get their turn.
const AT_A_LOOK: usize = 250;
/// Devices that are written at once: each waits for the API server most of the time.
const AT_ONCE: usize = 16;
/// A refusal may depend on what is not watched, such as quotas and admission rules.
pub const RETRY_REFUSED: Duration = Duration::from_secs(60);

/// Progress of a list after a reconcile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Its rows.
    pub rows: usize,
    /// Rows that have their device.
    pub done: usize,
    /// Rows that cannot have it, in the order of the list.
    pub mistakes: Vec<ImportMistake>,
    /// True if devices without a row were kept because a row cannot be read.
    pub incomplete: bool,
    /// Devices without a row that stay, because too many would go at once.
    pub spared: usize,
    /// Rows and removals that are left.
    pub left: usize,
    /// True if some of them wait for the next reconcile only.
    pub more: bool,
    /// True if the API server refused some, which is retried.
    pub refused: bool,
}

/// Rows that the API server has refused, so that not every reconciliation tries them.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<(Key, String), Refused>>);

#[derive(Debug)]
struct Refused {
    desired: DesiredDevice,
    since: Instant,
    why: String,
}

impl Refusals {
    fn of(&self, group: &Key, desired: &DesiredDevice, now: Instant) -> Option<String> {
        let refused = self.0.lock();
        let refused = refused.get(&(group.clone(), desired.name.clone()))?;
        let still = refused.desired == *desired && now.duration_since(refused.since) < RETRY_REFUSED;
        still.then(|| refused.why.clone())
    }

    fn put(&self, group: &Key, desired: &DesiredDevice, now: Instant, why: &str) {
        let mut refused = self.0.lock();
        refused.retain(|_, refused| now.duration_since(refused.since) < RETRY_REFUSED);
        let entry = Refused { desired: desired.clone(), since: now, why: why.to_owned() };
        refused.insert((group.clone(), desired.name.clone()), entry);
    }
}

/// With what lists are worked for.
pub struct ImportApplier<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Earlier refusals.
    pub refusals: &'a Refusals,
    /// Counters of writes.
    pub metrics: &'a Metrics,
}

/// Result of one row.
enum ImportRow {
    Done,
    /// Another object must end first; a watch reports it.
    Waits,
    Refused(ImportMistake),
}

/// One thing to do.
enum Step {
    Delete(String, String),
    Write(DesiredDevice, Option<String>),
}

impl ImportApplier<'_> {
    /// Does a part of the work; the next reconciliation does the rest.
    ///
    /// # Errors
    /// An error of the API server that a retry may fix; earlier writes stay.
    pub async fn import(&self, group: &ProvisioningGroup, work: ImportWork) -> Result<Imported, kube::Error> {
        let ImportWork { create, change, delete, spared, settled, ending, mistakes } = work;
        let mut imported = Imported { done: settled, left: ending, mistakes, spared, ..Imported::default() };
        let (now, key) = (clock::instant(), Key::of(group));
        let mut steps: Vec<Step> = delete.into_iter().map(|(name, uid)| Step::Delete(name, uid)).collect();
        let creates = create.into_iter().map(|desired| (desired, None));
        for (desired, uid) in change.into_iter().map(|(desired, uid)| (desired, Some(uid))).chain(creates) {
            match self.refusals.of(&key, &desired, now) {
                Some(why) => imported.refuse(refusal(&desired, &why)),
                None => steps.push(Step::Write(desired, uid)),
            }
        }
        imported.more = steps.len() > AT_A_LOOK;
        imported.left += steps.len().saturating_sub(AT_A_LOOK);
        steps.truncate(AT_A_LOOK);
        let mut done = futures::stream::iter(steps)
            .map(|step| self.step(group, &key, now, step))
            .buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some(row) = done.next().await {
            match row {
                Ok(Some(ImportRow::Done)) => imported.done += 1,
                Ok(Some(ImportRow::Waits)) => imported.left += 1,
                Ok(Some(ImportRow::Refused(mistake))) => imported.refuse(mistake),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        imported.mistakes.sort_by_key(|mistake| mistake.line);
        failed.map_or(Ok(imported), Err)
    }

    /// Does one step. Returns nothing for a removal, which is not a row.
    async fn step(
        &self,
        group: &ProvisioningGroup,
        key: &Key,
        now: Instant,
        step: Step,
    ) -> Result<Option<ImportRow>, kube::Error> {
        match step {
            Step::Delete(name, uid) => self.delete(key, &name, uid).await.map(|()| None),
            Step::Write(desired, uid) => {
                let row = self.write(group, key, &desired, uid.as_deref(), now).await?;
                Ok(Some(row))
            }
        }
    }

    async fn write(
        &self,
        group: &ProvisioningGroup,
        key: &Key,
        desired: &DesiredDevice,
        uid: Option<&str>,
        now: Instant,
    ) -> Result<ImportRow, kube::Error> {
        if uid.is_none() {
            // The cache may not have it yet: another owner's, or one of the previous reconciliation.
            let api: Api<PartialObjectMeta<IoTDevice>> = Api::namespaced(self.client.clone(), &key.namespace);
            if let Some(found) = api.get_metadata_opt(&desired.name).await? {
                let created = is_created(group, &found.metadata, desired);
                return Ok(if created { ImportRow::Done } else { ImportRow::Waits });
            }
        }
        let api: Api<IoTDevice> = Api::namespaced(self.client.clone(), &key.namespace);
        // The list wins over other writers of its fields, but not over a program that creates the device at the same moment.
        let how = PatchParams { force: uid.is_some(), ..PatchParams::apply(FIELD_MANAGER) };
        self.metrics.wrote("IoTDevice", "apply");
        match api.patch(&desired.name, &how, &Patch::Apply(object(group, desired, uid))).await {
            Ok(_) => Ok(ImportRow::Done),
            // The object was deleted or has another owner now; a watch reports it.
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(ImportRow::Waits),
            Err(kube::Error::Api(status))
                if status.code == 403 && status.message.contains("being terminated") =>
            {
                Ok(ImportRow::Waits)
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
                self.refusals.put(key, desired, now, &status.message);
                Ok(ImportRow::Refused(refusal(desired, &status.message)))
            }
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, group: &Key, name: &str, uid: String) -> Result<(), kube::Error> {
        let preconditions = Preconditions { uid: Some(uid), resource_version: None };
        let how = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        self.metrics.wrote("IoTDevice", "delete");
        let api: Api<IoTDevice> = Api::namespaced(self.client.clone(), &group.namespace);
        match api.delete(name, &how).await {
            Ok(_) => {
                tracing::info!(%group, device = name, "deleted a device that the list no longer has");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Imported {
    fn refuse(&mut self, mistake: ImportMistake) {
        self.refused = true;
        self.mistakes.push(mistake);
    }
}

fn refusal(desired: &DesiredDevice, why: &str) -> ImportMistake {
    let message = format!("the API server refuses IoTDevice {}: {why}", desired.name);
    ImportMistake { line: desired.entry.line, message }
}
