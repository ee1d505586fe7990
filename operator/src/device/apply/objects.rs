//! Fifth stage: makes the cluster agree with the plan, and writes nothing where it does already. Writes the cluster.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use lanyard_crds::IoTDevice;

use super::compare::differs_for_good;
use super::error::ApplyError;
use super::ownership::{blocked, blocked_claim, without_claim, without_credentials};
use super::planned_object::{ManagedKind, PlannedObject};
use super::write::{Applier, Found};
use crate::credential::stored::StoredCredentials;
use crate::device::apply::written::{Applied, Written};
use crate::device::observe::observation::DeviceObservation;
use crate::device::plan::claim::fitted;
use crate::device::plan::objects::{Plan, Withdrawal};
use crate::kubernetes::key::Key;
use crate::kubernetes::owner::Owner;

impl Applier<'_> {
    /// Makes the cluster agree with the plan.
    ///
    /// # Errors
    /// An error of the API server that a retry may fix.
    pub async fn apply(&self, observed: &DeviceObservation, plan: Plan) -> Result<Applied, kube::Error> {
        // A field that is forgotten here does not compile.
        let Plan { issued, credentials, claim, configuration, workload, former_credentials } = plan;
        let device = &*observed.device;
        let owner = &Owner::of(device);
        let agent = crate::device::plan::name::workload(&owner.key.name);
        let secret_key = Key::of(&credentials);
        let cached_secret = Secret::cached(self.view, &secret_key);
        let content = StoredCredentials::from(issued.holding.clone());
        let secret = async {
            ApplyError::separate(self.put_credentials(owner, observed, &credentials, &content).await)
        };
        let with_claim = async {
            // The configuration tells the agent how much it may store in the claim.
            let claim = ApplyError::separate(self.put_claim(owner, claim.as_ref()).await)?;
            if let Some(unclaimed) = without_claim(&claim) {
                return Ok((Some(unclaimed.clone()), unclaimed));
            }
            let written = match &configuration {
                Some(configuration) => ApplyError::separate(self.put(owner, configuration).await)?,
                None => Ok(self.remove::<ConfigMap>(owner, &agent).await?),
            };
            Ok((None, written))
        };
        let (credentials, (unclaimed, configuration)) = futures::try_join!(secret, with_claim)?;
        let written =
            matches!(credentials, Ok(Written::Created | Written::Updated { .. } | Written::Unchanged));
        if let (true, Some(meta)) = (written, self.remembered.version("Secret", &secret_key)) {
            self.remembered.hold(device, &secret_key, &meta, cached_secret.as_ref(), content);
        }
        // The agent comes last: its pod cannot start without the other two, and it must not connect with the Secret of
        // another program.
        let workload = match (without_credentials(workload.as_ref(), &credentials), unclaimed, &workload) {
            (Some(fault), ..) => Err(fault),
            (None, Some(unclaimed), _) => unclaimed,
            (None, None, Some(workload)) => {
                ApplyError::separate(self.put_workload(owner, observed, workload).await)?
            }
            (None, None, None) => Ok(self.remove::<StatefulSet>(owner, &agent).await?),
        };
        // Only when the new Secret has its content.
        if let (true, Some(former)) = (written, former_credentials) {
            self.remembered.abandon(&Key::new(&owner.key.namespace, &former));
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
        self.delete_known::<StatefulSet>(owner, &workload).await?;
        for name in credentials {
            self.remembered.abandon(&Key::new(&owner.key.namespace, &name));
            self.delete_known::<Secret>(owner, &name).await?;
        }
        Ok(())
    }

    /// Deletes an object, if the cache has it or the operator wrote it. A thousand devices that wait for approval have
    /// no objects: no request is made for them.
    async fn delete_known<K: ManagedKind>(&self, owner: &Owner, name: &str) -> Result<(), kube::Error> {
        let key = Key::new(&owner.key.namespace, name);
        if K::cached(self.view, &key).is_some() || self.remembered.version(&K::kind(&()), &key).is_some() {
            self.delete::<K>(owner, name).await?;
        }
        Ok(())
    }

    /// Writes the credentials Secret. `content` is its content, which must not be lost.
    async fn put_credentials(
        &self,
        owner: &Owner,
        observed: &DeviceObservation,
        planned: &Secret,
        content: &StoredCredentials,
    ) -> Result<Written, ApplyError> {
        let object = self.planned(owner, planned)?;
        let found = match self.find::<Secret>(&object).await? {
            Found::AsPlanned => return Ok(Written::Unchanged),
            Found::Nothing => return self.create::<Secret>(&object).await,
            Found::Object(found) => found,
        };
        if let Some(waiting) = blocked(owner, &found.object)? {
            return Ok(waiting);
        }
        // The plan was made without this Secret, which may hold a working credential: the next reconcile reads it.
        if !observed.own_seen && !self.is_settled(&object, &found) {
            return Ok(Written::Waiting(format!(
                "Secret {} exists and is not in the cache yet",
                object.key.name
            )));
        }
        let intend = || self.remembered.intend(&observed.device, &object.key, content.clone());
        self.update_or_recreate(&object, &found, intend).await
    }

    /// Writes the claim of the buffer. An existing claim stays if none is planned.
    async fn put_claim(
        &self,
        owner: &Owner,
        planned: Option<&PersistentVolumeClaim>,
    ) -> Result<Written, ApplyError> {
        let Some(planned) = planned else { return Ok(Written::Absent) };
        let object = self.planned(owner, planned)?;
        let found = match self.find::<PersistentVolumeClaim>(&object).await? {
            Found::AsPlanned => return Ok(Written::Unchanged),
            Found::Nothing => return self.create::<PersistentVolumeClaim>(&object).await,
            Found::Object(found) => found,
        };
        if let Some(waiting) = blocked_claim(owner, &found.object)? {
            return Ok(waiting);
        }
        let object = PlannedObject { desired: fitted(object.desired, &found.actual)?, ..object };
        self.update(&object, &found).await
    }

    /// Writes the agent, which must not run beside a previous one.
    async fn put_workload(
        &self,
        owner: &Owner,
        observed: &DeviceObservation,
        planned: &StatefulSet,
    ) -> Result<Written, ApplyError> {
        let object = self.planned(owner, planned)?;
        let found = match self.find::<StatefulSet>(&object).await? {
            Found::AsPlanned => return Ok(Written::Unchanged),
            Found::Nothing => {
                return match self.after_former_pods(&owner.key, observed.contest.connected) {
                    Some(waiting) => Ok(waiting),
                    None => self.create::<StatefulSet>(&object).await,
                };
            }
            Found::Object(found) => found,
        };
        if let Some(unwritten) = blocked(owner, &found.object)?.or_else(|| self.unwritten(&object, &found)) {
            return Ok(unwritten);
        }
        if differs_for_good(&object.desired, &found.actual) {
            self.delete::<StatefulSet>(owner, &object.key.name).await.map_err(ApplyError::Api)?;
            return Ok(Written::Waiting(format!("StatefulSet {} is being recreated", object.key.name)));
        }
        self.change(&object, &found).await
    }

    /// Returns what a new agent waits for. The pods of a former agent have the name that its pod needs, and Kubernetes
    /// retries a pod that cannot be created with growing delays. `connected` is true if an agent of another device may
    /// still be connected with the same identity.
    fn after_former_pods(&self, device: &Key, connected: bool) -> Option<Written> {
        if connected {
            let why = "an agent of another IoTDevice with the same identity has not ended yet";
            return Some(Written::Waiting(why.to_owned()));
        }
        let pods = self.view.pods_of(device);
        let ending = pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some());
        let wait = self.remembered.may_wait(device, !pods.is_empty()) || ending;
        wait.then(|| Written::Waiting("the previous agent has not ended yet".to_owned()))
    }
}
