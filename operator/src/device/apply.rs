//! Fifth stage: makes the cluster agree with the plan, and writes nothing where it does already. Writes the cluster.

use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use lanyard_crds::IoTDevice;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compare::{SHAPE, covers, differs_for_good, digest, shape};
use super::created::{Answer, applied, refusal};
use super::plan::{Plan, Withdrawal};
use crate::clock;
use crate::credential::stored::StoredCredentials;
use crate::device::cache::Remembered;
use crate::device::observation::DeviceObservation;
use crate::device::ownership::{
    How, Ownership, in_the_way, no_write_helps, standing, without_claim, without_credentials,
};
use crate::device::written::Applied;
use crate::device::written::WriteResult;
use crate::device::written::Written;
use crate::fault::Fault;
use crate::kubernetes::key::Key;
use crate::kubernetes::key::to_ref;
use crate::kubernetes::labels::FIELD_MANAGER;
use crate::kubernetes::owner::Owner;
use crate::metrics::Metrics;
use crate::reason::Reason;
use crate::snapshot::View;

/// With what the stage works.
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

impl Applier<'_> {
    /// Makes the cluster agree with the plan.
    ///
    /// # Errors
    /// An error of the API server that a retry may fix.
    pub async fn apply(&self, observed: &DeviceObservation, plan: Plan) -> Result<Applied, kube::Error> {
        let device = &*observed.device;
        // A field that is forgotten here does not compile.
        let Plan { issued, credentials, claim, configuration, workload, former_credentials } = plan;
        let namespace = device.namespace().unwrap_or_default();
        let secret_key = Key::of(&credentials);
        let mirrored_secret = self.view.secrets.get(&to_ref(&secret_key)).map(|known| known.metadata.clone());
        let owner = &Owner::of(device);
        let held = StoredCredentials::from(issued.holding.clone());
        let how = How::Holds { seen: observed.own_seen, device, held: &held };
        let secret = self.put(owner, &credentials, mirrored_secret.clone(), how);
        let agent = Key::new(&namespace, &super::name::workload(&owner.key.name));
        let stored = async {
            // Its configuration tells the agent how much it may store there.
            if let Some(verdict) = without_claim(&self.claim(owner, claim.as_ref()).await?) {
                return Ok((Some(verdict.clone()), verdict));
            }
            let mirrored = self.view.config_maps.get(&to_ref(&agent)).map(|known| known.metadata.clone());
            let written =
                self.put_or_remove(owner, &agent.name, configuration.as_ref(), mirrored, How::Plain).await?;
            Ok((None, written))
        };
        let (credentials, (unclaimed, configuration)) = futures::try_join!(secret, stored)?;
        let written =
            matches!(credentials, Ok(Written::Created | Written::Updated { .. } | Written::Unchanged));
        if let (true, Some(meta)) = (written, self.remembered.version("Secret", &secret_key)) {
            self.remembered.hold(device, &secret_key, &meta, mirrored_secret.as_ref(), held);
        }
        // The agent comes last: its pod cannot start without the other two, and it must not show a Secret that is another's.
        let mirrored = self.view.workloads.get(&to_ref(&agent)).map(|known| known.metadata.clone());
        let starts = How::StartsPods { beside_another: observed.contest.connected };
        let workload = match (without_credentials(workload.as_ref(), &credentials), unclaimed) {
            (Some(fault), _) => Err(fault),
            (None, Some(verdict)) => verdict,
            (None, None) => {
                self.put_or_remove(owner, &agent.name, workload.as_ref(), mirrored, starts).await?
            }
        };
        // Only when what it held is in the new one.
        if let (true, Some(former)) = (written, former_credentials) {
            self.remembered.abandon(&Key::new(&namespace, &former));
            self.delete::<Secret>(owner, &former).await?;
        }
        Ok(Applied { issued: Box::new(issued), credentials, configuration, workload })
    }

    /// Takes the agent and the credentials away. The configuration stays; it holds no secret.
    ///
    /// # Errors
    /// An error of the API server.
    pub async fn withdraw(&self, device: &IoTDevice, withdrawal: Withdrawal) -> Result<(), kube::Error> {
        let Withdrawal { credentials, workload } = withdrawal;
        let owner = &Owner::of(device);
        let namespace = &owner.key.namespace;
        // A thousand devices that wait for approval have no objects: no request is made for them.
        let known = |kind: &str, key: &Key| self.remembered.version(kind, key).is_some();
        let key = Key::new(namespace, &workload);
        if self.view.workloads.get(&to_ref(&key)).is_some() || known("StatefulSet", &key) {
            self.delete::<StatefulSet>(owner, &workload).await?;
        }
        for name in credentials {
            let key = Key::new(namespace, &name);
            self.remembered.abandon(&key);
            if self.view.secrets.get(&to_ref(&key)).is_some() || known("Secret", &key) {
                self.delete::<Secret>(owner, &name).await?;
            }
        }
        Ok(())
    }

    /// Makes a Secret agree with a planned one.
    ///
    /// # Errors
    /// An error of the API server that a retry may fix.
    pub async fn secret(&self, owner: &Owner, planned: &Secret) -> Result<WriteResult, kube::Error> {
        let mirrored = self.view.secrets.get(&to_ref(&Key::of(planned)));
        self.put(owner, planned, mirrored.map(|known| known.metadata.clone()), How::Plain).await
    }

    /// Takes a Secret away, if it is there and the owner's.
    ///
    /// # Errors
    /// An error of the API server.
    pub async fn without_secret(&self, owner: &Owner, name: &str) -> Result<(), kube::Error> {
        match self.view.secrets.get(&to_ref(&Key::new(&owner.key.namespace, name))) {
            Some(_) => self.delete::<Secret>(owner, name).await,
            None => Ok(()),
        }
    }

    /// Applies a planned claim. An existing claim stays if none is planned.
    async fn claim(
        &self,
        owner: &Owner,
        planned: Option<&PersistentVolumeClaim>,
    ) -> Result<WriteResult, kube::Error> {
        let Some(planned) = planned else { return Ok(Ok(Written::Absent)) };
        let mirrored = self.view.volume_claims.get(&to_ref(&Key::of(planned)));
        self.put(owner, planned, mirrored.map(|known| known.metadata.clone()), How::Outlives).await
    }

    /// Makes an object agree with the planned one, or takes it away where none is planned.
    async fn put_or_remove<K>(
        &self,
        owner: &Owner,
        name: &str,
        planned: Option<&K>,
        mirrored: Option<ObjectMeta>,
        how: How<'_>,
    ) -> Result<WriteResult, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        if let Some(planned) = planned {
            return self.put(owner, planned, mirrored, how).await;
        }
        if mirrored.is_some() {
            self.delete::<K>(owner, name).await?;
        }
        Ok(Ok(Written::Absent))
    }

    async fn put<K>(
        &self,
        owner: &Owner,
        planned: &K,
        mirrored: Option<ObjectMeta>,
        how: How<'_>,
    ) -> Result<Result<Written, Fault>, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let kind = K::kind(&());
        let key = Key::of(planned);
        let mut desired = with_shape(with_labels(to_value(planned)?, self.common_labels));
        let digest = digest(&desired);
        if self.remembered.is_as_planned(&kind, &key, mirrored.as_ref(), &digest) {
            return Ok(Ok(Written::Unchanged));
        }
        let api: Api<K> = Api::namespaced(self.client.clone(), &key.namespace);
        let found = api.get_opt(&key.name).await?;
        if let Some(found) = &found {
            if let Some(verdict) = in_the_way(owner, found, how) {
                return Ok(verdict);
            }
            desired = match how.fitted(desired, &to_value(found)?) {
                Ok(fitted) => fitted,
                Err(fault) => return Ok(Err(fault)),
            };
        }
        let verdict = match &found {
            Some(found) => self.over(owner, found, &desired, digest)?.or_else(|| how.spares(&kind, &key)),
            None if matches!(how, How::StartsPods { .. }) => self.after_former_pods(&owner.key, how),
            None => None,
        };
        if let Some(verdict) = verdict {
            return Ok(verdict);
        }
        if let Some(found) = &found
            && differs_for_good(&desired, &serde_json::to_value(found).map_err(kube::Error::SerdeError)?)
        {
            self.delete::<K>(owner, &key.name).await?;
            return Ok(Ok(Written::Waiting(format!("{kind} {} is being recreated", key.name))));
        }
        if let Some(found) = &found
            && !self.take_over(&api, found).await?
        {
            return Ok(Ok(Written::Waiting(format!("{kind} {} changes at this moment", key.name))));
        }
        Ok(match self.write(&api, &key, &desired, found.is_none()).await? {
            Answer::Taken(meta) => {
                self.remembered.put(&owner.key, &kind, &key, &meta, digest);
                Ok(found.map_or(Written::Created, |found| Written::Updated {
                    specification: found.meta().generation != meta.generation,
                }))
            }
            Answer::Waiting(why) => Ok(Written::Waiting(why)),
            Answer::Refused(fault) if fault.reason == Reason::Refused => match found {
                Some(found) if no_write_helps(&desired, &to_value(&found)?) => {
                    self.recreate(owner, &api, planned, desired, digest, how).await?
                }
                _ => {
                    self.remembered.unrepaired(&kind, &key);
                    Err(fault)
                }
            },
            Answer::Refused(fault) => Err(fault),
        })
    }

    /// Deletes an object that can be changed no more, and makes it at once as it is planned. What it held is in the planned one
    /// and nowhere else meanwhile: so the API server is asked before, and the planned one is kept until it was taken.
    async fn recreate<K>(
        &self,
        owner: &Owner,
        api: &Api<K>,
        planned: &K,
        desired: Value,
        digest: [u8; 32],
        how: How<'_>,
    ) -> Result<WriteResult, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let (kind, key) = (K::kind(&()), Key::of(planned));
        let manager = Some(FIELD_MANAGER.to_owned());
        let rehearsal = api.create(&PostParams { dry_run: true, field_manager: manager }, planned).await;
        match rehearsal {
            Ok(_) => {}
            // The name is the last thing that is looked at: all else was in order.
            Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "AlreadyExists" => {}
            Err(error) => {
                return Ok(match refusal(&kind, &key, false, error)? {
                    Answer::Refused(fault) => Err(fault),
                    Answer::Waiting(why) => Ok(Written::Waiting(why)),
                    Answer::Taken(_) => Ok(Written::Unchanged),
                });
            }
        }
        if let How::Holds { device, held, .. } = how {
            self.remembered.intend(device, &key, held.clone());
        }
        self.delete::<K>(owner, &key.name).await?;
        Ok(match self.write(api, &key, &desired, true).await? {
            Answer::Taken(meta) => {
                self.remembered.put(&owner.key, &kind, &key, &meta, digest);
                Ok(Written::Updated { specification: true })
            }
            Answer::Waiting(why) => Ok(Written::Waiting(why)),
            Answer::Refused(fault) => Err(fault),
        })
    }

    /// Returns the reason why an existing object need not be written now.
    fn over<K>(
        &self,
        owner: &Owner,
        found: &K,
        desired: &Value,
        digest: [u8; 32],
    ) -> Result<Option<WriteResult>, kube::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let (kind, key) = (K::kind(&()), Key::of(found));
        let actual = serde_json::to_value(found).map_err(kube::Error::SerdeError)?;
        if covers(desired, &actual) {
            self.remembered.put(&owner.key, &kind, &key, found.meta(), digest);
            return Ok(Some(Ok(Written::Unchanged)));
        }
        let wait = self.remembered.before_repair(&owner.key, &kind, &key, digest, clock::instant());
        let message = || {
            format!(
                "{kind} {} is changed repeatedly by another program; it is repaired after a delay",
                key.name
            )
        };
        Ok((!wait.is_zero()).then(|| Ok(Written::Contested(message(), wait))))
    }

    /// A new agent waits for the pods of a former one: they have the name that its pod needs, and who asks for it too early
    /// is put off by Kubernetes for longer and longer.
    fn after_former_pods(&self, device: &Key, how: How<'_>) -> Option<WriteResult> {
        if matches!(how, How::StartsPods { beside_another: true }) {
            let why = "an agent of another IoTDevice with the same identity has not ended yet";
            return Some(Ok(Written::Waiting(why.to_owned())));
        }
        let pods = self.view.pods_of(device);
        let ending = pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some());
        let wait = self.remembered.may_wait(device, !pods.is_empty()) || ending;
        wait.then(|| Ok(Written::Waiting("the previous agent has not ended yet".to_owned())))
    }

    /// Turns the fields of a created object into applied ones: else an apply that leaves a field out would not remove it.
    /// Says whether that is done: an object that changes meanwhile is looked at again.
    async fn take_over<K>(&self, api: &Api<K>, found: &K) -> Result<bool, kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let Some(fields) = applied(found.meta()) else { return Ok(true) };
        let version = found.resource_version();
        let patch = serde_json::json!({"metadata": {"managedFields": fields, "resourceVersion": version}});
        match api.patch(&found.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            // An admission policy judges the object as it stands, which may be what is to be repaired. The apply that follows
            // repairs it.
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(true),
            other => other.map(|_| true),
        }
    }

    async fn write<K>(
        &self,
        api: &Api<K>,
        key: &Key,
        desired: &Value,
        creating: bool,
    ) -> Result<Answer, kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let kind = K::kind(&());
        self.metrics.wrote(&kind, "apply");
        let written = if creating {
            // An apply would merge into an object that was made by another at the same moment.
            let object = serde_json::from_value(desired.clone()).map_err(kube::Error::SerdeError)?;
            let manager = Some(FIELD_MANAGER.to_owned());
            api.create(&PostParams { field_manager: manager, ..PostParams::default() }, &object).await
        } else {
            let how = PatchParams::apply(FIELD_MANAGER).force();
            api.patch(&key.name, &how, &Patch::Apply(desired)).await
        };
        match written {
            Ok(written) => {
                tracing::info!(%kind, object = %key, creating, "wrote");
                Ok(Answer::Taken(Box::new(written.meta().clone())))
            }
            Err(error) => refusal(&kind, key, creating, error),
        }
    }

    async fn delete<K>(&self, owner: &Owner, name: &str) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let namespace = owner.key.namespace.clone();
        let api: Api<kube::core::PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), &namespace);
        let Some(found) = api.get_metadata_opt(name).await? else { return Ok(()) };
        if !matches!(standing(owner, &found), Ownership::Ours) {
            return Ok(());
        }
        let preconditions = Preconditions { uid: found.metadata.uid.clone(), resource_version: None };
        let how = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        let kind = K::kind(&());
        self.metrics.wrote(&kind, "delete");
        self.remembered.forget(&kind, &Key::new(&namespace, name));
        match Api::<K>::namespaced(self.client.clone(), &namespace).delete(name, &how).await {
            Ok(_) => {
                tracing::info!(%kind, namespace, name, "deleted");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn to_value(object: &impl Serialize) -> Result<Value, kube::Error> {
    serde_json::to_value(object).map_err(kube::Error::SerdeError)
}

/// The object's own labels win.
fn with_labels(mut object: Value, common: &BTreeMap<String, String>) -> Value {
    for (name, value) in common {
        if object["metadata"]["labels"].get(name).is_none() {
            object["metadata"]["labels"][name] = value.as_str().into();
        }
    }
    object
}

fn with_shape(mut object: Value) -> Value {
    let shape = shape(&object);
    object["metadata"]["annotations"][SHAPE] = shape.into();
    object
}
