//! An object as it is to be written, and as it is found. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compare::{SHAPE, digest, shape};
use super::error::{ApplyError, json};
use crate::kubernetes::key::{Key, to_ref};
use crate::kubernetes::owner::Owner;
use crate::snapshot::View;

/// Kind of object that the operator writes.
pub trait ManagedKind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
{
    /// Returns the cached object of a name, without its content.
    fn cached(view: &View, key: &Key) -> Option<ObjectMeta>;
}

/// Defines the kinds, each with its store.
macro_rules! managed_kinds {
    ($($kind:ty: $store:ident,)*) => {
        $(impl ManagedKind for $kind {
            fn cached(view: &View, key: &Key) -> Option<ObjectMeta> {
                view.$store.get(&to_ref(key)).map(|known| known.metadata.clone())
            }
        })*
    };
}

managed_kinds! {
    Secret: secrets,
    ConfigMap: config_maps,
    PersistentVolumeClaim: volume_claims,
    StatefulSet: workloads,
}

/// Object as it is to be written.
pub(super) struct PlannedObject<'a> {
    pub(super) owner: &'a Owner,
    pub(super) kind: Cow<'static, str>,
    pub(super) key: Key,
    /// With the common labels and the annotation of its fields.
    pub(super) desired: Value,
    pub(super) digest: [u8; 32],
}

impl<'a> PlannedObject<'a> {
    pub(super) fn new<K: ManagedKind>(
        owner: &'a Owner,
        planned: &K,
        common_labels: &BTreeMap<String, String>,
    ) -> Result<Self, ApplyError> {
        let desired = with_shape(with_labels(json(serde_json::to_value(planned))?, common_labels));
        let digest = digest(&desired);
        Ok(Self { owner, kind: K::kind(&()), key: Key::of(planned), desired, digest })
    }

    pub(super) fn typed<K: ManagedKind>(&self) -> Result<K, ApplyError> {
        json(serde_json::from_value(self.desired.clone()))
    }
}

/// Object in the cluster, also as JSON.
pub(super) struct FoundObject<K> {
    pub(super) object: K,
    pub(super) actual: Value,
}

impl<K: ManagedKind> FoundObject<K> {
    pub(super) fn new(object: K) -> Result<Self, ApplyError> {
        let actual = json(serde_json::to_value(&object))?;
        Ok(Self { object, actual })
    }
}

/// Adds the common labels to an object. The object's own labels take precedence.
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
