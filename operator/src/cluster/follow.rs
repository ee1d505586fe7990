//! Starts the mirrors and joins their changes to those who must hear of them. Reads the cluster.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::Config;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use tokio::task::JoinSet;

use super::mirror::{Mirror, prune};
use super::scope::Scope;
use super::view::{DEVICE_LABEL, View};
use super::wake::{self, Queues, Referent};
use crate::device::agents::Agents;
use crate::device::apply::Remembered;
use crate::metrics::Metrics;

/// Everybody who hears of changes.
#[derive(Clone)]
pub struct Listeners {
    /// Devices and groups that must look again.
    pub queues: Queues,
    /// Who asks agents for their status.
    pub agents: Agents,
    /// Who knows which changes are the operator's own.
    pub remembered: Arc<Remembered>,
    /// Who counts what cannot be read.
    pub metrics: Metrics,
}

/// Starts all mirrors as tasks that never end.
pub fn follow(client: &Client, scope: &Scope, listeners: &Listeners, tasks: &mut JoinSet<()>) -> Arc<View> {
    let (devices, device_filled, device_mirror) = Mirror::<IoTDevice>::new();
    let (groups, group_filled, group_mirror) = Mirror::<ProvisioningGroup>::new();
    let (deployments, deployment_filled, deployment_mirror) = Mirror::<Deployment>::new();
    let (pods, pod_filled, pod_mirror) = Mirror::<Pod>::new();
    let (secrets, secret_filled, secret_mirror) = Mirror::<PartialObjectMeta<Secret>>::new();
    let (config_maps, config_map_filled, config_map_mirror) = Mirror::<PartialObjectMeta<ConfigMap>>::new();
    let filled = vec![
        ("iotdevices", device_filled),
        ("provisioninggroups", group_filled),
        ("deployments", deployment_filled),
        ("pods", pod_filled),
        ("secrets", secret_filled),
        ("configmaps", config_map_filled),
    ];
    let view = Arc::new(View {
        devices,
        groups,
        deployments,
        pods,
        secrets,
        config_maps,
        claims: Default::default(),
        filled,
    });

    let heard = (Arc::clone(&view), listeners.clone());
    let metrics = listeners.metrics.clone();
    let apis = scope.apis::<DeserializeGuard<IoTDevice>>(client);
    tasks.spawn(device_mirror.follow(
        apis,
        Config::default(),
        move |object| readable(object, &metrics),
        move |change| {
            if change.gone {
                heard.1.remembered.forget_device(&wake::key_of(change.meta));
            }
            wake::device_changed(&heard.0, &heard.1.queues, &change);
        },
    ));

    let heard = (Arc::clone(&view), listeners.clone());
    let metrics = listeners.metrics.clone();
    let apis = scope.apis::<DeserializeGuard<ProvisioningGroup>>(client);
    tasks.spawn(group_mirror.follow(
        apis,
        Config::default(),
        move |object| readable(object, &metrics),
        move |change| {
            wake::group_changed(&heard.0, &heard.1.queues, &change);
        },
    ));

    let ours = Config::default().labels(DEVICE_LABEL);
    let queues = listeners.queues.clone();
    let apis = scope.apis::<Deployment>(client);
    tasks.spawn(deployment_mirror.follow(apis, ours.clone(), without_spec, move |change| {
        wake::deployment_changed(&queues, &change);
    }));

    let heard = (Arc::clone(&view), listeners.clone());
    tasks.spawn(pod_mirror.follow(scope.apis::<Pod>(client), ours, facts_only, move |change| {
        if let Some(device) = wake::device_of_pod(&change) {
            heard.1.agents.moved(&device, heard.0.pods_of(&device));
            heard.1.queues.device(&device);
        }
    }));

    let heard = (Arc::clone(&view), listeners.clone());
    let apis = scope.apis::<PartialObjectMeta<Secret>>(client);
    tasks.spawn(secret_mirror.follow(apis, Config::default(), names_of_ours, move |change| {
        let by_operator = !change.gone && heard.1.remembered.wrote("Secret", change.meta);
        wake::referent_changed(&heard.0, &heard.1.queues, Referent::Secret, change.meta, by_operator);
    }));

    let heard = (Arc::clone(&view), listeners.clone());
    let apis = scope.apis::<PartialObjectMeta<ConfigMap>>(client);
    tasks.spawn(config_map_mirror.follow(apis, Config::default(), names_of_ours, move |change| {
        let by_operator = !change.gone && heard.1.remembered.wrote("ConfigMap", change.meta);
        wake::referent_changed(&heard.0, &heard.1.queues, Referent::ConfigMap, change.meta, by_operator);
    }));
    view
}

/// An object that cannot be read is left alone, and the others go on.
fn readable<K: kube::Resource<DynamicType = ()>>(
    object: DeserializeGuard<K>,
    metrics: &Metrics,
) -> Option<K> {
    match object.0 {
        Ok(mut object) => {
            prune(object.meta_mut());
            Some(object)
        }
        Err(invalid) => {
            let (kind, meta) = (K::kind(&()), invalid.metadata);
            let (namespace, name) = (meta.namespace.unwrap_or_default(), meta.name.unwrap_or_default());
            metrics.unreadable(&kind);
            tracing::warn!(%kind, namespace, name, error = invalid.error, "cannot read an object, leaving it alone: does it fit the installed CRD?");
            None
        }
    }
}

/// Of a Deployment its names and conditions.
fn without_spec(mut deployment: Deployment) -> Option<Deployment> {
    prune(&mut deployment.metadata);
    deployment.spec = None;
    Some(deployment)
}

/// Of a pod its address and whether and why it is ready or not.
fn facts_only(mut pod: Pod) -> Option<Pod> {
    let meta = std::mem::take(&mut pod.metadata);
    pod.metadata = ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        uid: meta.uid,
        creation_timestamp: meta.creation_timestamp,
        deletion_timestamp: meta.deletion_timestamp,
        labels: meta
            .labels
            .map(|labels| labels.into_iter().filter(|(name, _)| name == DEVICE_LABEL).collect()),
        ..ObjectMeta::default()
    };
    pod.spec = None;
    if let Some(status) = pod.status.take() {
        pod.status = Some(k8s_openapi::api::core::v1::PodStatus {
            conditions: status.conditions,
            container_statuses: status.container_statuses,
            phase: status.phase,
            pod_ip: status.pod_ip,
            ..Default::default()
        });
    }
    Some(pod)
}

/// Of what the operator made, name, version and owner; of everything else nothing.
fn names_of_ours<K>(object: PartialObjectMeta<K>) -> Option<PartialObjectMeta<K>> {
    if !wake::is_owned(&object.metadata) {
        return None;
    }
    let meta = object.metadata;
    let metadata = ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        uid: meta.uid,
        resource_version: meta.resource_version,
        owner_references: meta.owner_references,
        ..ObjectMeta::default()
    };
    Some(PartialObjectMeta { types: None, metadata, _phantom: std::marker::PhantomData })
}
