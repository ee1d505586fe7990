//! Fifth stage: makes the cluster agree with the plan, and writes nothing where it does already. Writes the cluster.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
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
use crate::cluster::claims::Key;
use crate::cluster::view::{View, to_ref};
use crate::fault::{Fault, Reason};
use crate::metrics::Metrics;

/// Owner of every field that the operator writes.
pub const FIELD_MANAGER: &str = "lanyard";

/// How long a new agent waits for pods of a former one that do not end; such pods belong to nobody any more.
const PODS_MUST_END_WITHIN: Duration = Duration::from_secs(90);

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

/// What was written or found as it should be, so that a look at an unchanged object asks nobody.
#[derive(Debug, Default)]
pub struct Remembered {
    objects: Mutex<HashMap<(String, Key), Known>>,
    waiting: Mutex<HashMap<Key, Instant>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Known {
    device: Key,
    uid: Option<String>,
    version: Option<String>,
    digest: [u8; 32],
}

impl Remembered {
    fn is_as_planned(&self, kind: &str, key: &Key, mirrored: Option<&ObjectMeta>, digest: &[u8; 32]) -> bool {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let known = objects.get(&(kind.to_owned(), key.clone()));
        mirrored.zip(known).is_some_and(|(meta, known)| {
            known.uid == meta.uid && known.version == meta.resource_version && known.digest == *digest
        })
    }

    fn put(&self, device: &IoTDevice, kind: &str, key: &Key, meta: &ObjectMeta, digest: [u8; 32]) {
        let known = Known {
            device: Key::of(device),
            uid: meta.uid.clone(),
            version: meta.resource_version.clone(),
            digest,
        };
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((kind.to_owned(), key.clone()), known);
    }

    /// Whether this version of an object is the operator's own last word, so that its coming is no news.
    #[must_use]
    pub fn wrote(&self, kind: &str, meta: &ObjectMeta) -> bool {
        let key =
            Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let known = objects.get(&(kind.to_owned(), key));
        known.is_some_and(|known| known.uid == meta.uid && known.version == meta.resource_version)
    }

    fn forget(&self, kind: &str, key: &Key) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(&(kind.to_owned(), key.clone()));
    }

    /// Forgets a device that is gone.
    pub fn forget_device(&self, device: &Key) {
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, known| known.device != *device);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(device);
    }

    /// Whether pods of a former agent are still worth waiting for.
    fn may_wait(&self, device: &Key, pods: bool) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !pods {
            waiting.remove(device);
            return false;
        }
        waiting.entry(device.clone()).or_insert_with(Instant::now).elapsed() < PODS_MUST_END_WITHIN
    }
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
        match found.as_ref().map(|found| standing(device, found)) {
            Some(Standing::Foreign(owner)) => {
                let message = format!(
                    "{kind} {} belongs to {owner} and is not touched: rename it or delete it{}",
                    key.name,
                    hint(&kind)
                );
                return Ok(Err(Fault::new(Reason::Conflict, message)));
            }
            Some(Standing::Ending) => {
                return Ok(Ok(Written::Waiting(format!("{kind} {} of before is being deleted", key.name))));
            }
            Some(Standing::Ours) | None => {}
        }
        if let Some(found) = &found {
            let actual = serde_json::to_value(found).map_err(kube::Error::SerdeError)?;
            if covers(&desired, &actual) {
                self.remembered.put(device, &kind, &key, found.meta(), digest);
                return Ok(Ok(Written::Unchanged));
            }
            if actual.pointer("/spec/strategy/rollingUpdate").is_some() {
                self.turn_off_rolling(&api, &key).await?;
            }
        } else if starts_pods {
            let owner = Key::of(device);
            if self.remembered.may_wait(&owner, !self.view.pods_of(&owner).is_empty()) {
                return Ok(Ok(Written::Waiting("the agent of before has not ended yet".to_owned())));
            }
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
