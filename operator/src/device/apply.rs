//! Fifth stage: makes the cluster agree with the plan, and writes nothing where it does already. Writes the cluster.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use lanyard_crds::IoTDevice;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::compare::{SHAPE, covers, shape};
use super::plan::{Plan, Withdrawal};
use super::remembered::Remembered;
use crate::cluster::claims::Key;
use crate::cluster::view::{View, to_ref};
use crate::fault::{Fault, Reason};
use crate::metrics::Metrics;

/// Owner of every field that the operator writes.
pub const FIELD_MANAGER: &str = "lanyard";

/// What became of a planned object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It was not there.
    Created,
    /// It was different.
    Updated,
    /// It was as it should be; nothing was written.
    Unchanged,
    /// Something has to end first; the words say what.
    Waiting(String),
    /// Somebody else changes it again and again; it is put right after a while.
    Contested(String, Duration),
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The credentials.
    pub credentials: Result<Written, Fault>,
    /// The agent's configuration.
    pub configuration: Result<Written, Fault>,
    /// The agent.
    pub workload: Result<Written, Fault>,
}

/// With what the stage works.
pub struct Hands<'a> {
    /// The API server.
    pub client: &'a Client,
    /// What is there already.
    pub view: &'a View,
    /// What was written before.
    pub remembered: &'a Remembered,
    /// Who counts writes.
    pub metrics: &'a Metrics,
}

impl Hands<'_> {
    /// Makes the cluster agree with the plan.
    ///
    /// # Errors
    /// What the API server says where trying again may help.
    pub async fn apply(&self, device: &IoTDevice, plan: Plan) -> Result<Applied, kube::Error> {
        // A field that is forgotten here does not compile.
        let Plan { credentials, configuration, workload, former_credentials } = plan;
        let namespace = device.namespace().unwrap_or_default();
        let mirrored = |name: String| {
            self.view.secrets.get(&to_ref(&Key::new(&namespace, &name))).map(|known| known.metadata.clone())
        };
        let secret = self.put(device, &credentials, mirrored(credentials.name_any()), false);
        let mirrored = self.view.config_maps.get(&to_ref(&Key::new(&namespace, &configuration.name_any())));
        let config_map =
            self.put(device, &configuration, mirrored.map(|known| known.metadata.clone()), false);
        let (credentials, configuration) = futures::try_join!(secret, config_map)?;
        // The agent comes last: its pod cannot start without the other two.
        let mirrored = self.view.deployments.get(&to_ref(&Key::new(&namespace, &workload.name_any())));
        let workload =
            self.put(device, &workload, mirrored.map(|known| known.metadata.clone()), true).await?;
        if let Some(former) = former_credentials {
            self.delete::<k8s_openapi::api::core::v1::Secret>(device, &former).await?;
        }
        Ok(Applied { credentials, configuration, workload })
    }

    /// Takes the agent and the credentials away. The configuration stays; it holds no secret.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn withdraw(&self, device: &IoTDevice, withdrawal: Withdrawal) -> Result<(), kube::Error> {
        let Withdrawal { credentials, workload } = withdrawal;
        self.delete::<k8s_openapi::api::apps::v1::Deployment>(device, &workload).await?;
        for name in credentials {
            self.delete::<k8s_openapi::api::core::v1::Secret>(device, &name).await?;
        }
        Ok(())
    }

    async fn put<K>(
        &self,
        device: &IoTDevice,
        planned: &K,
        mirrored: Option<ObjectMeta>,
        starts_pods: bool,
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
        let desired = with_shape(serde_json::to_value(planned).map_err(kube::Error::SerdeError)?);
        let digest: [u8; 32] = Sha256::digest(desired.to_string().as_bytes()).into();
        if self.remembered.is_as_planned(&kind, &key, mirrored.as_ref(), &digest) {
            return Ok(Ok(Written::Unchanged));
        }
        let api: Api<K> = Api::namespaced(self.client.clone(), &key.namespace);
        let found = api.get_opt(&key.name).await?;
        let verdict = match &found {
            Some(found) => self.over(device, found, &desired, digest)?,
            None if starts_pods => self.after_former_pods(device),
            None => None,
        };
        if let Some(verdict) = verdict {
            return Ok(verdict);
        }
        if found.as_ref().is_some_and(is_rolling) {
            self.turn_off_rolling(&api, &key).await?;
        }
        Ok(match self.write(&api, &key, &desired, found.is_none()).await? {
            Answer::Taken(meta) => {
                self.remembered.put(device, &kind, &key, &meta, digest);
                Ok(if found.is_none() { Written::Created } else { Written::Updated })
            }
            Answer::Waiting(why) => Ok(Written::Waiting(why)),
            // Somebody made it immutable: there is no other way back, and nothing is lost by it.
            Answer::Refused(fault) if found.is_some() && !starts_pods && fault.reason == Reason::Refused => {
                self.delete::<K>(device, &key.name).await?;
                Ok(Written::Waiting(fault.message))
            }
            Answer::Refused(fault) => Err(fault),
        })
    }

    /// Why an object that is there is not to be written over, if it is not.
    fn over<K>(
        &self,
        device: &IoTDevice,
        found: &K,
        desired: &Value,
        digest: [u8; 32],
    ) -> Result<Option<Verdict>, kube::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let (kind, key) = (K::kind(&()), Key::of(found));
        match standing(device, found) {
            Standing::Foreign(owner) => {
                let (name, hint) = (&key.name, hint(&kind));
                let message = format!(
                    "{kind} {name} belongs to {owner} and is not touched: rename it or delete it{hint}"
                );
                return Ok(Some(Err(Fault::new(Reason::Conflict, message))));
            }
            Standing::Ending => {
                return Ok(Some(Ok(Written::Waiting(format!(
                    "{kind} {} of before is being deleted",
                    key.name
                )))));
            }
            Standing::Ours => {}
        }
        let actual = serde_json::to_value(found).map_err(kube::Error::SerdeError)?;
        if covers(desired, &actual) {
            self.remembered.put(device, &kind, &key, found.meta(), digest);
            return Ok(Some(Ok(Written::Unchanged)));
        }
        let wait = self.remembered.before_repair(&Key::of(device), &kind, &key, digest, Instant::now());
        let message = || {
            format!(
                "{kind} {} is changed by somebody else again and again; it is put right after a while",
                key.name
            )
        };
        Ok((!wait.is_zero()).then(|| Ok(Written::Contested(message(), wait))))
    }

    /// A new agent waits for the pods of a former one: there are never two connections for one identity.
    fn after_former_pods(&self, device: &IoTDevice) -> Option<Verdict> {
        let owner = Key::of(device);
        let wait = self.remembered.may_wait(&owner, !self.view.pods_of(&owner).is_empty());
        wait.then(|| Ok(Written::Waiting("the agent of before has not ended yet".to_owned())))
    }

    /// The server fills `rollingUpdate` in when somebody turns `Recreate` off, and then refuses to turn it on again while
    /// it is there; an apply cannot take away what it never had.
    async fn turn_off_rolling<K>(&self, api: &Api<K>, key: &Key) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let patch = serde_json::json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}});
        let how = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.metrics.wrote(&K::kind(&()), "patch");
        api.patch(&key.name, &how, &Patch::Merge(patch)).await.map(drop)
    }

    async fn write<K>(
        &self,
        api: &Api<K>,
        key: &Key,
        desired: &Value,
        creating: bool,
    ) -> Result<Answer, kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let kind = K::kind(&());
        // Without force somebody who makes the same object at the same moment wins.
        let how = PatchParams { force: !creating, ..PatchParams::apply(FIELD_MANAGER) };
        self.metrics.wrote(&kind, "apply");
        match api.patch(&key.name, &how, &Patch::Apply(desired)).await {
            Ok(written) => {
                tracing::info!(%kind, object = %key, creating, "wrote");
                Ok(Answer::Taken(Box::new(written.meta().clone())))
            }
            Err(error) => refusal(&kind, key, creating, error),
        }
    }

    async fn delete<K>(&self, device: &IoTDevice, name: &str) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let namespace = device.namespace().unwrap_or_default();
        let api: Api<kube::core::PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), &namespace);
        let Some(found) = api.get_metadata_opt(name).await? else { return Ok(()) };
        if !matches!(standing(device, &found), Standing::Ours) {
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

/// What becomes of an object without a write.
type Verdict = Result<Written, Fault>;

/// Whose an object is.
enum Standing {
    Ours,
    /// Ours or a namesake's of before, and on its way out.
    Ending,
    Foreign(String),
}

fn standing(device: &IoTDevice, found: &impl ResourceExt) -> Standing {
    let controller = found.owner_references().iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if Some(&owner.uid) == device.metadata.uid.as_ref() => {
            if found.meta().deletion_timestamp.is_some() { Standing::Ending } else { Standing::Ours }
        }
        // The garbage collector takes what a deleted device of the same name has left.
        Some(owner)
            if owner.kind == IoTDevice::kind(&()) && Some(&owner.name) == device.metadata.name.as_ref() =>
        {
            Standing::Ending
        }
        Some(owner) => Standing::Foreign(format!("{} {}", owner.kind, owner.name)),
        None => Standing::Foreign("somebody else".to_owned()),
    }
}

fn hint(kind: &str) -> &'static str {
    if kind == "Secret" { ", or set credentials.secretName to another name" } else { "" }
}

fn is_rolling(object: &impl Serialize) -> bool {
    serde_json::to_value(object).is_ok_and(|object| object.pointer("/spec/strategy/rollingUpdate").is_some())
}

fn with_shape(mut object: Value) -> Value {
    let shape = shape(&object);
    object["metadata"]["annotations"][SHAPE] = shape.into();
    object
}

/// What the API server answered to a write.
enum Answer {
    Taken(Box<ObjectMeta>),
    Waiting(String),
    Refused(Fault),
}

/// What trying again does not help, and what it does.
fn refusal(kind: &str, key: &Key, creating: bool, error: kube::Error) -> Result<Answer, kube::Error> {
    let kube::Error::Api(status) = &error else { return Err(error) };
    match status.code {
        409 if creating => {
            let message = format!(
                "{kind} {} was made by somebody else and is not touched: rename it or delete it{}",
                key.name,
                hint(kind)
            );
            Ok(Answer::Refused(Fault::new(Reason::Conflict, message)))
        }
        403 if status.message.contains("being terminated") => {
            Ok(Answer::Waiting(format!("namespace {} is being deleted", key.namespace)))
        }
        400 | 403 | 422 => {
            let message = format!("the API server refuses {kind} {}: {}", key.name, status.message);
            Ok(Answer::Refused(Fault::new(Reason::Refused, message)))
        }
        _ => Err(error),
    }
}
