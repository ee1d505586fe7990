//! Reads of what objects refer to: groups, Secrets and trusted CAs. Reads the cluster.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt};
use lanyard_crds::refer::{KeyReference, TrustedCa};
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use crate::credential::stored::StoredCredentials;
use crate::kubernetes::found::CaFound;
use crate::kubernetes::found::CaSecret;
use crate::kubernetes::found::ListFound;
use crate::kubernetes::key::Key;
use crate::kubernetes::key::{controller, to_ref};
use crate::kubernetes::reference::Referent;
use crate::kubernetes::secret::Marks;
use crate::kubernetes::secret::SecretData;
use crate::snapshot::View;

/// Number of cached bodies: keys and CAs of groups that many devices share.
const MAX_KEPT: usize = 64;

/// Reads of what objects refer to. What a thousand devices share is read once a version and not a thousand times.
pub struct Reads {
    client: Client,
    kept: Mutex<HashMap<(Referent, Key), (String, SecretData)>>,
}

impl Reads {
    /// Creates a reader that has read nothing yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, kept: Mutex::default() }
    }

    /// Reads the group that a device refers to. One that is not in the store may have been created a moment ago, so the
    /// API server is asked.
    ///
    /// # Errors
    /// An error of the API server; a missing group is not an error.
    pub async fn group(
        &self,
        view: &View,
        device: &IoTDevice,
    ) -> Result<Option<Arc<ProvisioningGroup>>, kube::Error> {
        let Some(reference) = &device.spec.group_ref else { return Ok(None) };
        if let Some(group) = view.group_of(device) {
            return Ok(Some(group));
        }
        let api: Api<ProvisioningGroup> =
            Api::namespaced(self.client.clone(), &device.namespace().unwrap_or_default());
        Ok(api.get_opt(&reference.name).await?.map(Arc::new))
    }

    /// Reads the Secret with a key, if there is a reference to one.
    ///
    /// # Errors
    /// An error of the API server; a missing Secret is not an error.
    pub async fn key(
        &self,
        view: &View,
        namespace: &str,
        name: Option<&str>,
    ) -> Result<Option<SecretData>, kube::Error> {
        match name {
            Some(name) => self.body(view, Referent::Secret, Key::new(namespace, name)).await,
            None => Ok(None),
        }
    }

    /// Returns the content of the device's Secret, if the device controls it.
    ///
    /// # Errors
    /// Errors of the API server, except for a missing Secret.
    pub async fn stored(
        &self,
        key: &Key,
        device: &IoTDevice,
    ) -> Result<Option<(ObjectMeta, StoredCredentials)>, kube::Error> {
        let secret =
            Api::<Secret>::namespaced(self.client.clone(), &key.namespace).get_opt(&key.name).await?;
        // The same rule as for writing: its controller is the device. Everyone who may write Secrets can add an owner.
        let owned = |secret: &Secret| {
            let owner = controller(&secret.metadata, &IoTDevice::kind(&()));
            owner.is_some_and(|owner| Some(&owner.uid) == device.metadata.uid.as_ref())
        };
        Ok(secret.filter(owned).map(|secret| {
            let data: SecretData =
                secret.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect();
            let stored =
                StoredCredentials::read(&data, &secret.metadata.annotations.clone().unwrap_or_default());
            (secret.metadata, stored)
        }))
    }

    /// Reads a trusted CA.
    ///
    /// # Errors
    /// An error of the API server; a missing object is not an error.
    pub async fn trusted_ca(
        &self,
        view: &View,
        namespace: &str,
        ca: Option<&TrustedCa>,
    ) -> Result<CaFound, kube::Error> {
        let secret =
            ca.and_then(|ca| ca.secret_key_ref.as_ref()).map(|reference| (Referent::Secret, reference));
        let map = ca
            .and_then(|ca| ca.config_map_key_ref.as_ref())
            .map(|reference| (Referent::ConfigMap, reference));
        let Some((referent, reference)) = secret.or(map) else { return Ok(CaFound::NotAsked) };
        let object = format!("{} {}", referent.kind(), reference.name);
        let body = self.body(view, referent, Key::new(namespace, &reference.name)).await?;
        let bytes = body.map(|body| body.bytes(&reference.key).map(<[u8]>::to_vec));
        Ok(match bytes {
            None => CaFound::NoObject { object },
            Some(None) => CaFound::NoKey { object, key: reference.key.clone() },
            Some(Some(bytes)) => CaFound::Text { object, bytes },
        })
    }

    /// Reads the Secret that a trusted CA comes from, and returns it without its data.
    ///
    /// # Errors
    /// An error of the API server; a missing Secret is not an error.
    pub async fn ca_secret(
        &self,
        view: &View,
        namespace: &str,
        ca: Option<&TrustedCa>,
    ) -> Result<Option<CaSecret>, kube::Error> {
        let Some(reference) = ca.and_then(|ca| ca.secret_key_ref.as_ref()) else { return Ok(None) };
        let body = self.body(view, Referent::Secret, Key::new(namespace, &reference.name)).await?;
        Ok(body.map(|body| CaSecret {
            name: reference.name.clone(),
            marks: SecretData::default().marked(body.marks().clone()),
        }))
    }

    /// Reads a list of devices.
    ///
    /// # Errors
    /// An error of the API server; a missing object is not an error.
    pub async fn list(
        &self,
        view: &View,
        namespace: &str,
        reference: Option<&KeyReference>,
    ) -> Result<ListFound, kube::Error> {
        let Some(reference) = reference else { return Ok(ListFound::NotAsked) };
        let body = self.body(view, Referent::ConfigMap, Key::new(namespace, &reference.name)).await?;
        let Some(body) = body else { return Ok(ListFound::NoObject) };
        Ok(match body.bytes(&reference.key).map(std::str::from_utf8) {
            None => ListFound::NoKey(body.keys().into_iter().map(str::to_owned).collect()),
            Some(Err(_)) => ListFound::NoText,
            Some(Ok(text)) => ListFound::Text(text.to_owned()),
        })
    }

    /// Returns the reason why Kubernetes cannot create the pod of a `StatefulSet`, such as a quota, which only events
    /// contain.
    ///
    /// # Errors
    /// Errors of the API server.
    pub async fn why_no_pod(&self, workload: &StatefulSet) -> Result<Option<String>, kube::Error> {
        let Some(uid) = workload.uid() else { return Ok(None) };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &workload.namespace().unwrap_or_default());
        let of_it = ListParams::default().fields(&format!("regarding.uid={uid},reason=FailedCreate"));
        let events = api.list(&of_it).await?.items.into_iter();
        let last = events.filter(is_of_its_controller).max_by_key(when);
        Ok(last.and_then(|event| event.note).map(|note| match note.split_once("failed error: ") {
            Some((_, why)) => why.to_owned(),
            None => note,
        }))
    }

    async fn body(
        &self,
        view: &View,
        referent: Referent,
        key: Key,
    ) -> Result<Option<SecretData>, kube::Error> {
        let mirrored = match referent {
            Referent::Secret => {
                view.secrets.get(&to_ref(&key)).and_then(|known| known.metadata.resource_version.clone())
            }
            Referent::ConfigMap => {
                view.config_maps.get(&to_ref(&key)).and_then(|known| known.metadata.resource_version.clone())
            }
        };
        let slot = (referent, key);
        if let Some(kept) = self.kept(&slot, mirrored.as_deref()) {
            return Ok(Some(kept));
        }
        let (client, namespace, name) = (self.client.clone(), &slot.1.namespace, &slot.1.name);
        let read = match referent {
            Referent::Secret => {
                let secret = Api::<Secret>::namespaced(client, namespace).get_opt(name).await?;
                let data = |secret: Secret| {
                    let marks = Marks::of(&secret.metadata, secret.type_.as_deref());
                    let data = secret.data.into_iter().flatten().map(|(key, value)| (key, value.0));
                    data.collect::<SecretData>().marked(marks)
                };
                secret.map(|secret| (secret.metadata.resource_version.clone(), data(secret)))
            }
            Referent::ConfigMap => {
                let map = Api::<ConfigMap>::namespaced(client, namespace).get_opt(name).await?;
                let data = |map: ConfigMap| {
                    let texts = map.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes()));
                    let others = map.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0));
                    texts.chain(others).collect()
                };
                map.map(|map| (map.metadata.resource_version.clone(), data(map)))
            }
        };
        if read.is_none() {
            self.kept.lock().remove(&slot);
        }
        Ok(read.map(|(version, body)| self.keep(slot, version, body)))
    }

    fn kept(&self, slot: &(Referent, Key), version: Option<&str>) -> Option<SecretData> {
        let kept = self.kept.lock();
        kept.get(slot).filter(|(kept, _)| Some(kept.as_str()) == version).map(|(_, body)| body.clone())
    }

    fn keep(&self, slot: (Referent, Key), version: Option<String>, body: SecretData) -> SecretData {
        let mut kept = self.kept.lock();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(slot, (version.unwrap_or_default(), body.clone()));
        body
    }
}

/// Returns whether the event is from the StatefulSet controller: a user who may write events can name a StatefulSet
/// in one.
fn is_of_its_controller(event: &Event) -> bool {
    const CONTROLLER: &str = "statefulset-controller";
    let older = || event.deprecated_source.as_ref().and_then(|source| source.component.as_deref());
    match event.reporting_controller.as_deref().filter(|controller| !controller.is_empty()) {
        Some(controller) => controller == CONTROLLER,
        None => older() == Some(CONTROLLER),
    }
}

/// Returns the time of an event. Kubernetes' own controllers still write the older form.
fn when(event: &Event) -> Option<jiff::Timestamp> {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let last = event.deprecated_last_timestamp.as_ref().map(|time| time.0);
    series.or(last).or_else(|| event.event_time.as_ref().map(|time| time.0))
}
