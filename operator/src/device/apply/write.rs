//! Writes planned objects, and nothing where the cluster has them already. Writes the cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};

use super::answer::{Answer, answer, applied};
use super::compare::covers;
use super::error::ApplyError;
use super::ownership::{Ownership, blocked, no_write_helps, ownership};
use super::planned_object::{FoundObject, ManagedKind, PlannedObject};
use super::written::Written;
use crate::clock;
use crate::device::apply::cache::Remembered;
use crate::kubernetes::key::Key;
use crate::kubernetes::labels::FIELD_MANAGER;
use crate::kubernetes::owner::Owner;
use crate::metrics::Metrics;
use crate::snapshot::View;

/// Writer of planned objects.
pub struct Applier<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Cached objects.
    pub view: &'a View,
    /// Cache of earlier writes.
    pub remembered: &'a Remembered,
    /// Counters of writes.
    pub metrics: &'a Metrics,
    /// Labels of everything that is written, besides its own.
    pub common_labels: &'a BTreeMap<String, String>,
}

/// Result of the search for a planned object in the cluster.
pub(super) enum Found<K> {
    /// Known to be as planned, without a request.
    AsPlanned,
    Nothing,
    Object(Box<FoundObject<K>>),
}

impl Applier<'_> {
    /// Makes an object agree with the planned one. One that can be changed no more is recreated.
    ///
    /// # Errors
    /// [`ApplyError`]: the object belongs to another program, or the API server refuses it or fails.
    pub async fn put<K: ManagedKind>(&self, owner: &Owner, planned: &K) -> Result<Written, ApplyError> {
        let object = self.planned(owner, planned)?;
        match self.find::<K>(&object).await? {
            Found::AsPlanned => Ok(Written::Unchanged),
            Found::Nothing => self.create::<K>(&object).await,
            Found::Object(found) => match blocked(owner, &found.object)? {
                Some(waiting) => Ok(waiting),
                None => self.update_or_recreate(&object, &found, || ()).await,
            },
        }
    }

    /// Deletes an object, if it is in the cache and the owner's.
    ///
    /// # Errors
    /// An error of the API server.
    pub async fn remove<K: ManagedKind>(&self, owner: &Owner, name: &str) -> Result<Written, kube::Error> {
        if K::cached(self.view, &Key::new(&owner.key.namespace, name)).is_some() {
            self.delete::<K>(owner, name).await?;
        }
        Ok(Written::Absent)
    }

    pub(super) fn planned<'o, K: ManagedKind>(
        &self,
        owner: &'o Owner,
        planned: &K,
    ) -> Result<PlannedObject<'o>, ApplyError> {
        PlannedObject::new(owner, planned, self.common_labels)
    }

    pub(super) async fn find<K: ManagedKind>(
        &self,
        object: &PlannedObject<'_>,
    ) -> Result<Found<K>, ApplyError> {
        let PlannedObject { kind, key, digest, .. } = object;
        if self.remembered.is_as_planned(kind, key, K::cached(self.view, key).as_ref(), digest) {
            return Ok(Found::AsPlanned);
        }
        let found = self.api::<K>(key).get_opt(&key.name).await.map_err(ApplyError::Api)?;
        Ok(match found {
            Some(found) => Found::Object(Box::new(FoundObject::new(found)?)),
            None => Found::Nothing,
        })
    }

    /// Creates an object that does not exist.
    pub(super) async fn create<K: ManagedKind>(
        &self,
        object: &PlannedObject<'_>,
    ) -> Result<Written, ApplyError> {
        let PlannedObject { kind, key, .. } = object;
        self.metrics.wrote(kind, "apply");
        // An apply would merge into an object that another program creates at the same moment.
        let created = self.api(key).create(&create_params(false), &object.typed::<K>()?).await;
        Ok(match answer(kind, key, true, created)? {
            Answer::Taken(created) => {
                self.wrote(object, created.meta(), true);
                Written::Created
            }
            Answer::Waiting(why) => Written::Waiting(why),
        })
    }

    /// Changes an existing object of the owner, unless it is as planned.
    pub(super) async fn update<K: ManagedKind>(
        &self,
        object: &PlannedObject<'_>,
        found: &FoundObject<K>,
    ) -> Result<Written, ApplyError> {
        match self.unwritten(object, found) {
            Some(unwritten) => Ok(unwritten),
            None => self.change(object, found).await,
        }
    }

    /// Changes an existing object of the owner, unless it is as planned, and recreates it if it can be changed no more.
    /// `before_delete` is called before it is deleted.
    pub(super) async fn update_or_recreate<K: ManagedKind>(
        &self,
        object: &PlannedObject<'_>,
        found: &FoundObject<K>,
        before_delete: impl FnOnce() + Send,
    ) -> Result<Written, ApplyError> {
        if let Some(unwritten) = self.unwritten(object, found) {
            return Ok(unwritten);
        }
        if !no_write_helps(&object.desired, &found.actual) {
            return self.change(object, found).await;
        }
        match self.try_change(object, &found.object).await {
            Err(ApplyError::Fault(_)) => self.recreate::<K>(object, before_delete).await,
            changed => changed,
        }
    }

    /// Returns whether an existing object is as planned, and records that it is.
    pub(super) fn is_settled<K: ManagedKind>(
        &self,
        object: &PlannedObject<'_>,
        found: &FoundObject<K>,
    ) -> bool {
        let settled = covers(&object.desired, &found.actual);
        if settled {
            self.record(object, found.object.meta());
        }
        settled
    }

    /// Returns the result for an existing object that is not written now.
    pub(super) fn unwritten<K: ManagedKind>(
        &self,
        object: &PlannedObject<'_>,
        found: &FoundObject<K>,
    ) -> Option<Written> {
        if self.is_settled(object, found) {
            return Some(Written::Unchanged);
        }
        let PlannedObject { owner, kind, key, digest, .. } = object;
        let wait = self.remembered.before_repair(&owner.key, kind, key, *digest, clock::instant());
        let message = || {
            format!(
                "another program changes {kind} {} repeatedly: stop it; the operator restores the object after a delay",
                key.name
            )
        };
        (!wait.is_zero()).then(|| Written::Contested(message(), wait))
    }

    /// Changes an existing object. A change that the API server refuses does not count as a repair.
    pub(super) async fn change<K: ManagedKind>(
        &self,
        object: &PlannedObject<'_>,
        found: &FoundObject<K>,
    ) -> Result<Written, ApplyError> {
        let changed = self.try_change(object, &found.object).await;
        if let Err(ApplyError::Fault(_)) = &changed {
            self.remembered.unrepaired(&object.kind, &object.key);
        }
        changed
    }

    async fn try_change<K: ManagedKind>(
        &self,
        object: &PlannedObject<'_>,
        found: &K,
    ) -> Result<Written, ApplyError> {
        let PlannedObject { kind, key, desired, .. } = object;
        let api = self.api::<K>(key);
        if !self.take_over(&api, found).await? {
            return Ok(Written::Waiting(format!("{kind} {} changes at this moment", key.name)));
        }
        self.metrics.wrote(kind, "apply");
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let changed = api.patch(&key.name, &params, &Patch::Apply(desired)).await;
        Ok(match answer(kind, key, false, changed)? {
            Answer::Taken(changed) => {
                self.wrote(object, changed.meta(), false);
                Written::Updated { specification: found.meta().generation != changed.meta().generation }
            }
            Answer::Waiting(why) => Written::Waiting(why),
        })
    }

    /// Deletes an object that can be changed no more, and creates it as planned. Its content is only in the planned
    /// object between the two: so a dry run comes first, and the planned object is kept until it was created.
    async fn recreate<K: ManagedKind>(
        &self,
        object: &PlannedObject<'_>,
        before_delete: impl FnOnce() + Send,
    ) -> Result<Written, ApplyError> {
        let PlannedObject { owner, kind, key, .. } = object;
        let rehearsal = self.api(key).create(&create_params(true), &object.typed::<K>()?).await;
        match rehearsal {
            // The name is checked last: everything else was in order.
            Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "AlreadyExists" => {}
            rehearsal => {
                if let Answer::Waiting(why) = answer(kind, key, false, rehearsal)? {
                    return Ok(Written::Waiting(why));
                }
            }
        }
        before_delete();
        self.delete::<K>(owner, &key.name).await.map_err(ApplyError::Api)?;
        match self.create::<K>(object).await? {
            Written::Created => Ok(Written::Updated { specification: true }),
            other => Ok(other),
        }
    }

    /// Turns the fields of a created object into applied ones: else an apply that leaves a field out would not remove
    /// it. Returns whether that is done: an object that changes meanwhile is reconciled again.
    async fn take_over<K: ManagedKind>(&self, api: &Api<K>, found: &K) -> Result<bool, ApplyError> {
        let Some(fields) = applied(found.meta()) else { return Ok(true) };
        let version = found.resource_version();
        let patch = serde_json::json!({"metadata": {"managedFields": fields, "resourceVersion": version}});
        match api.patch(&found.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            // An admission policy judges the object as it is, which may be what is to be repaired. The apply that
            // follows repairs it.
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(true),
            other => other.map(|_| true).map_err(ApplyError::Api),
        }
    }

    /// Deletes an object, if it exists and is the owner's.
    pub(super) async fn delete<K: ManagedKind>(&self, owner: &Owner, name: &str) -> Result<(), kube::Error> {
        let key = Key::new(&owner.key.namespace, name);
        let api: Api<PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), &key.namespace);
        let found = api.get_metadata_opt(name).await?;
        let Some(found) = found.filter(|found| matches!(ownership(owner, found), Ownership::Ours)) else {
            return Ok(());
        };
        let preconditions = Preconditions { uid: found.metadata.uid, resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        let kind = K::kind(&());
        self.metrics.wrote(&kind, "delete");
        self.remembered.forget(&kind, &key);
        match self.api::<K>(&key).delete(name, &params).await {
            Ok(_) => {
                tracing::info!(%kind, namespace = key.namespace, name, "deleted");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn wrote(&self, object: &PlannedObject<'_>, meta: &ObjectMeta, creating: bool) {
        tracing::info!(kind = %object.kind, object = %object.key, creating, "wrote");
        self.record(object, meta);
    }

    fn record(&self, object: &PlannedObject<'_>, meta: &ObjectMeta) {
        let PlannedObject { owner, kind, key, digest, .. } = object;
        self.remembered.put(&owner.key, kind, key, meta, *digest);
    }

    fn api<K: ManagedKind>(&self, key: &Key) -> Api<K> {
        Api::namespaced(self.client.clone(), &key.namespace)
    }
}

fn create_params(dry_run: bool) -> PostParams {
    PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) }
}
