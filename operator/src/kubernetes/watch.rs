//! Starts the caches and connects their changes to the listeners. Reads the cluster.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, PodSpec, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::Config;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use tokio::task::JoinSet;

use crate::agents::poller::Agents;
use crate::credential::key_generator::KeyGenerator;
use crate::credential::rollover_queue::RolloverQueue;
use crate::device::apply::cache::Remembered;
use crate::kubernetes::key::{Key, device_of, key_of};
use crate::kubernetes::labels::SHARED_LABEL;
use crate::kubernetes::labels::{DEVICE_LABEL, REVISION_LABEL};
use crate::kubernetes::queues::{Debounced, Queues};
use crate::kubernetes::reference::Referent;
use crate::kubernetes::scope::Scope;
use crate::kubernetes::store::{Change, Mirror, prune};
use crate::metrics::Metrics;
use crate::snapshot::View;
use crate::triggers;

/// Receivers of changes.
#[derive(Clone)]
pub struct Listeners {
    /// Devices and groups to reconcile.
    pub queues: Queues,
    /// Poller of the agents.
    pub agents: Agents,
    /// Cache that knows the operator's own writes.
    pub remembered: Arc<Remembered>,
    /// Generator of private keys.
    pub key_generator: Arc<KeyGenerator>,
    /// Queues of devices that move to another key or CA.
    pub turns: Arc<RolloverQueue>,
    /// Counter of objects that cannot be parsed.
    pub metrics: Metrics,
}

impl Listeners {
    /// Gives the poller the device's current agent. Device, `StatefulSet` and pod are listed in any order and the agent is known
    /// only when all three are here, so a change of each of them leads here.
    fn agent_moved(&self, view: &View, device: &Key) {
        let agent = view.device(device).and_then(|device| view.agent_of(&device));
        self.agents.moved(device, agent);
    }
}

/// Returns whether an object came or went, or was replaced by another one of its name.
fn uid_changed<K: kube::Resource>(change: &Change<'_, K>) -> bool {
    let uid = |object: &Arc<K>| object.meta().uid.clone();
    change.before.as_ref().map(uid) != change.now.as_ref().map(uid)
}

/// Starts all mirrors as tasks that never end.
pub fn follow(client: &Client, scope: &Scope, listeners: &Listeners, tasks: &mut JoinSet<()>) -> Arc<View> {
    let (view, mirrors) = empty();
    let view = Arc::new(view);
    let start = Start { client, scope, listeners, view: &view };
    tasks.spawn(start.devices(mirrors.devices));
    tasks.spawn(start.groups(mirrors.groups));
    tasks.spawn(start.workloads(mirrors.workloads));
    tasks.spawn(start.pods(mirrors.pods));
    tasks.spawn(start.volume_claims(mirrors.volume_claims));
    tasks.spawn(start.secrets(mirrors.secrets));
    tasks.spawn(start.config_maps(mirrors.config_maps));
    view
}

struct Mirrors {
    devices: Mirror<IoTDevice>,
    groups: Mirror<ProvisioningGroup>,
    workloads: Mirror<StatefulSet>,
    pods: Mirror<Pod>,
    volume_claims: Mirror<PartialObjectMeta<PersistentVolumeClaim>>,
    secrets: Mirror<PartialObjectMeta<Secret>>,
    config_maps: Mirror<PartialObjectMeta<ConfigMap>>,
}

fn empty() -> (View, Mirrors) {
    let (devices, device_filled, device_mirror) = Mirror::new();
    let (groups, group_filled, group_mirror) = Mirror::new();
    let (workloads, workload_filled, workload_mirror) = Mirror::new();
    let (pods, pod_filled, pod_mirror) = Mirror::new();
    let (volume_claims, volume_claim_filled, volume_claim_mirror) = Mirror::new();
    let (secrets, secret_filled, secret_mirror) = Mirror::new();
    let (config_maps, config_map_filled, config_map_mirror) = Mirror::new();
    let filled = vec![
        ("iotdevices", device_filled),
        ("provisioninggroups", group_filled),
        ("statefulsets", workload_filled),
        ("pods", pod_filled),
        ("persistentvolumeclaims", volume_claim_filled),
        ("secrets", secret_filled),
        ("configmaps", config_map_filled),
    ];
    let (identities, references, group_references, trials) = Default::default();
    let view = View {
        devices,
        groups,
        workloads,
        pods,
        volume_claims,
        secrets,
        config_maps,
        identities,
        references,
        group_references,
        trials,
        filled,
    };
    let mirrors = Mirrors {
        devices: device_mirror,
        groups: group_mirror,
        workloads: workload_mirror,
        pods: pod_mirror,
        volume_claims: volume_claim_mirror,
        secrets: secret_mirror,
        config_maps: config_map_mirror,
    };
    (view, mirrors)
}

/// Parameters of starting a store.
struct Start<'a> {
    client: &'a Client,
    scope: &'a Scope,
    listeners: &'a Listeners,
    view: &'a Arc<View>,
}

impl Start<'_> {
    fn devices(&self, mirror: Mirror<IoTDevice>) -> impl Future<Output = ()> + use<> {
        let (view, listeners) = (Arc::clone(self.view), self.listeners.clone());
        let metrics = listeners.metrics.clone();
        let apis = self.scope.apis::<DeserializeGuard<IoTDevice>>(self.client);
        mirror.follow(
            apis,
            Config::default(),
            move |object| readable(object, &metrics).map(without_spare_room),
            move |change| {
                if change.gone {
                    let gone = key_of(change.meta);
                    change.meta.uid.iter().for_each(|uid| view.trials.forget(uid));
                    listeners.remembered.forget_device(&gone);
                    listeners.key_generator.forget(&gone);
                    listeners.turns.forget(&gone);
                }
                triggers::device_changed(&view, &listeners.queues, &change);
                if uid_changed(&change) {
                    listeners.agent_moved(&view, &key_of(change.meta));
                }
            },
        )
    }

    fn groups(&self, mirror: Mirror<ProvisioningGroup>) -> impl Future<Output = ()> + use<> {
        let (view, listeners) = (Arc::clone(self.view), self.listeners.clone());
        let metrics = listeners.metrics.clone();
        let apis = self.scope.apis::<DeserializeGuard<ProvisioningGroup>>(self.client);
        mirror.follow(
            apis,
            Config::default(),
            move |object| readable(object, &metrics),
            move |change| {
                if change.gone {
                    listeners.metrics.issuers(&key_of(change.meta), &[]);
                }
                triggers::group_changed(&view, &listeners.queues, &change);
            },
        )
    }

    fn workloads(&self, mirror: Mirror<StatefulSet>) -> impl Future<Output = ()> + use<> {
        let (view, listeners) = (Arc::clone(self.view), self.listeners.clone());
        let ours = Config::default().labels(DEVICE_LABEL);
        mirror.follow(self.scope.apis::<StatefulSet>(self.client), ours, without_spec, move |change| {
            triggers::workload_changed(&listeners.queues, &change);
            if let (Some(device), true) = (device_of(change.meta), uid_changed(&change)) {
                listeners.agent_moved(&view, &device);
            }
        })
    }

    fn pods(&self, mirror: Mirror<Pod>) -> impl Future<Output = ()> + use<> {
        let (view, listeners) = (Arc::clone(self.view), self.listeners.clone());
        let ours = Config::default().labels(DEVICE_LABEL);
        mirror.follow(self.scope.apis::<Pod>(self.client), ours, facts_only, move |change| {
            if let Some(device) = device_of(change.meta) {
                listeners.agent_moved(&view, &device);
                listeners.queues.soon(Debounced::Device(device));
            }
        })
    }

    fn volume_claims(
        &self,
        mirror: Mirror<PartialObjectMeta<PersistentVolumeClaim>>,
    ) -> impl Future<Output = ()> + use<> {
        let (view, listeners) = (Arc::clone(self.view), self.listeners.clone());
        let apis = self.scope.apis::<PartialObjectMeta<PersistentVolumeClaim>>(self.client);
        mirror.follow(apis, Config::default(), with_device, move |change| {
            if change.gone || !listeners.remembered.wrote("PersistentVolumeClaim", change.meta) {
                triggers::volume_claim_changed(&view, &listeners.queues, change.meta);
            }
        })
    }

    fn secrets(&self, mirror: Mirror<PartialObjectMeta<Secret>>) -> impl Future<Output = ()> + use<> {
        let apis = self.scope.apis::<PartialObjectMeta<Secret>>(self.client);
        let on_change = self.referent::<Secret>(Referent::Secret);
        mirror.follow(apis, Config::default(), name_only, move |change| on_change(change.meta, change.gone))
    }

    fn config_maps(&self, mirror: Mirror<PartialObjectMeta<ConfigMap>>) -> impl Future<Output = ()> + use<> {
        let apis = self.scope.apis::<PartialObjectMeta<ConfigMap>>(self.client);
        let on_change = self.referent::<ConfigMap>(Referent::ConfigMap);
        mirror.follow(apis, Config::default(), name_only, move |change| on_change(change.meta, change.gone))
    }

    fn referent<K: kube::Resource<DynamicType = ()>>(
        &self,
        referent: Referent,
    ) -> impl Fn(&ObjectMeta, bool) + use<K> {
        let (view, listeners) = (Arc::clone(self.view), self.listeners.clone());
        move |meta, gone| {
            let by_operator = !gone && listeners.remembered.wrote(&K::kind(&()), meta);
            if gone && referent == Referent::Secret {
                listeners.remembered.gone(meta);
            }
            triggers::referent_changed(&view, &listeners.queues, referent, meta, by_operator);
        }
    }
}

/// Returns an object that could be read. Another one is logged, counted and left alone, and the others go on.
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
            tracing::warn!(%kind, namespace, name, error = invalid.error, "skipping an object that cannot be parsed: \
                check that operator and CRDs have the same version");
            None
        }
    }
}

/// Drops the room that reading left in the list of conditions: a quarter of a kilobyte of each device.
fn without_spare_room(mut device: IoTDevice) -> IoTDevice {
    device.status.iter_mut().for_each(|status| status.conditions.shrink_to_fit());
    device
}

/// Drops the specification of a `StatefulSet`, and keeps its names and how far its rollout is.
fn without_spec(mut workload: StatefulSet) -> Option<StatefulSet> {
    prune(&mut workload.metadata);
    workload.spec = None;
    Some(workload)
}

/// Reduces a pod to its address, its revision, and whether and why it is ready or not.
fn facts_only(mut pod: Pod) -> Option<Pod> {
    let meta = std::mem::take(&mut pod.metadata);
    pod.metadata = ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        uid: meta.uid,
        creation_timestamp: meta.creation_timestamp,
        deletion_timestamp: meta.deletion_timestamp,
        labels: meta.labels.map(|labels| labels.into_iter().filter(|(name, _)| is_kept(name)).collect()),
        owner_references: meta.owner_references,
        ..ObjectMeta::default()
    };
    // Of one that ends also the node, which may be why it does not.
    pod.spec = pod
        .spec
        .filter(|_| pod.metadata.deletion_timestamp.is_some())
        .map(|spec| PodSpec { node_name: spec.node_name, ..PodSpec::default() });
    if let Some(status) = pod.status.take() {
        pod.status = Some(k8s_openapi::api::core::v1::PodStatus {
            conditions: status.conditions,
            container_statuses: status.container_statuses,
            phase: status.phase,
            pod_ip: status.pod_ip,
            host_ip: status.host_ip,
            ..Default::default()
        });
    }
    Some(pod)
}

fn is_kept(label: &str) -> bool {
    matches!(label, DEVICE_LABEL | REVISION_LABEL | SHARED_LABEL)
}

/// Reduces an object to name, version, device, and whether buffers may use it.
fn with_device<K>(mut object: PartialObjectMeta<K>) -> Option<PartialObjectMeta<K>> {
    let labels = object.metadata.labels.take();
    let mut kept = name_only(object)?;
    kept.metadata.labels =
        labels.map(|labels| labels.into_iter().filter(|(name, _)| is_kept(name)).collect());
    Some(kept)
}

/// Reduces an object to name and version.
fn name_only<K>(object: PartialObjectMeta<K>) -> Option<PartialObjectMeta<K>> {
    let meta = object.metadata;
    let metadata = ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        uid: meta.uid,
        resource_version: meta.resource_version,
        ..ObjectMeta::default()
    };
    Some(PartialObjectMeta { types: None, metadata, _phantom: std::marker::PhantomData })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::{Request, State};
    use futures::channel::mpsc::{UnboundedReceiver, unbounded};
    use serde_json::{Value, json};
    use tokio::sync::Semaphore;

    use crate::agents::poller::AgentChange;

    /// Server that returns the list of each kind when the test allows it, and watches without changes.
    struct Lists {
        kinds: [(&'static str, Semaphore, Value); 3],
    }

    impl Lists {
        async fn answer(State(lists): State<Arc<Self>>, request: Request) -> axum::Json<Value> {
            if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
                std::future::pending::<()>().await;
            }
            let kind = request.uri().path().rsplit('/').next().unwrap_or_default();
            let mut items = Vec::new();
            if let Some((_, allowed, item)) = lists.kinds.iter().find(|(name, ..)| *name == kind) {
                allowed.acquire().await.unwrap().forget();
                items.push(item.clone());
            }
            axum::Json(json!({"metadata": {"resourceVersion": "1"}, "items": items}))
        }

        fn new() -> Self {
            let owned = |kind: &str, name: &str, uid: &str| {
                let owner =
                    json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true});
                json!([owner])
            };
            let labels = json!({DEVICE_LABEL: "pump"});
            let device = json!({
                "apiVersion": "lanyard.dev/v1alpha1", "kind": "IoTDevice",
                "metadata": {"name": "pump", "namespace": "plant", "uid": "1"},
                "spec": {"groupRef": {"name": "line"}},
            });
            let workload = json!({
                "metadata": {"name": "pump-agent", "namespace": "plant", "uid": "2", "labels": labels,
                    "ownerReferences": owned("IoTDevice", "pump", "1")},
            });
            let pod = json!({
                "metadata": {"name": "pump-agent-0", "namespace": "plant", "uid": "3", "labels": labels,
                    "ownerReferences": owned("StatefulSet", "pump-agent", "2")},
                "status": {"podIP": "10.0.0.7", "containerStatuses": [{"name": "agent", "image": "", "imageID": "",
                    "ready": true, "restartCount": 0, "state": {"running": {}}}]},
            });
            let kinds = [("iotdevices", device), ("statefulsets", workload), ("pods", pod)];
            Self { kinds: kinds.map(|(kind, item)| (kind, Semaphore::new(0), item)) }
        }
    }

    async fn address_told(
        lists: &Lists,
        view: &View,
        news_queue: &mut UnboundedReceiver<(Key, AgentChange)>,
        order: [usize; 3],
    ) -> Option<AgentChange> {
        for next in order {
            let (kind, allowed, _) = &lists.kinds[next];
            allowed.add_permits(1);
            let (_, filled) = view.filled.iter().find(|(name, _)| name == kind).unwrap();
            filled.clone().wait_for(|filled| *filled).await.unwrap();
        }
        let mut last = None;
        while let Ok((_, news)) = news_queue.try_recv() {
            last = Some(news);
        }
        last
    }

    #[tokio::test]
    async fn poller_learns_an_agents_address_in_every_order_of_lists() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let lists = Arc::new(Lists::new());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            let router = Router::new().fallback(Lists::answer).with_state(Arc::clone(&lists));
            let mut tasks = JoinSet::new();
            tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
            let client = Client::try_from(kube::Config::new(address.parse().unwrap())).unwrap();
            let (agents, mut news_queue) = Agents::new();
            let queues = Queues { devices: unbounded().0, groups: unbounded().0, debounced: unbounded().0 };
            let listeners = Listeners {
                queues,
                agents,
                remembered: Arc::default(),
                key_generator: KeyGenerator::new(|_| ()),
                turns: Arc::default(),
                metrics: Metrics::new().unwrap(),
            };
            let view = follow(&client, &Scope::Everywhere, &listeners, &mut tasks);
            let last = address_told(&lists, &view, &mut news_queue, order).await;
            assert_eq!(last, Some(AgentChange::Address(Some([10, 0, 0, 7].into()))), "{order:?}");
        }
    }

    #[test]
    fn unreadable_object_is_counted_and_skipped() {
        let metrics = Metrics::new().unwrap();
        let read = |spec: &str| {
            let head = "apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {name: a, managedFields: [{manager: m}]}";
            let object: DeserializeGuard<IoTDevice> =
                serde_saphyr::from_str(&format!("{{{head}, spec: {spec}}}")).unwrap();
            readable(object, &metrics)
        };
        assert!(read("{groupRef: 7}").is_none());
        assert!(
            metrics
                .text(&[], &[])
                .contains(r#"lanyard_operator_unreadable_objects_total{kind="IoTDevice"} 1"#)
        );
        let good = read("{groupRef: {name: g}, field: of a newer version}").unwrap();
        assert!(good.metadata.managed_fields.is_none());
    }
}
