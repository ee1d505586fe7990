//! Changes of objects, and the devices and groups that they make reconcile.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::runtime::watcher::Event;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_operator::kubernetes::key::Key;
use lanyard_operator::kubernetes::queues::{Debounced, Queues};
use lanyard_operator::kubernetes::reference::Referent;
use lanyard_operator::kubernetes::store::Change;
use lanyard_operator::snapshot::View;
use lanyard_operator::triggers::{
    device_changed, group_changed, referent_changed, volume_claim_changed, workload_changed,
};

/// Receivers of the queues.
struct Queued {
    devices: UnboundedReceiver<ObjectRef<IoTDevice>>,
    groups: UnboundedReceiver<ObjectRef<ProvisioningGroup>>,
    debounced: UnboundedReceiver<Debounced>,
}

impl Queued {
    fn names<K: Lookup>(queue: &mut UnboundedReceiver<ObjectRef<K>>) -> BTreeSet<String> {
        std::iter::from_fn(|| queue.try_recv().ok()).map(|object| object.name).collect()
    }

    /// Takes all names of devices, then all of groups, as one text.
    fn take(&mut self) -> String {
        let names = Self::names(&mut self.devices).into_iter().chain(Self::names(&mut self.groups));
        names.collect::<Vec<_>>().join(" ")
    }

    /// Takes what one change adds to the debounced changes.
    fn take_debounced(&mut self) -> Vec<Debounced> {
        std::iter::from_fn(|| self.debounced.try_recv().ok()).collect()
    }
}

/// Cached objects of one namespace, and what is queued for them.
struct Cluster {
    view: View,
    devices: Writer<IoTDevice>,
    groups: Writer<ProvisioningGroup>,
    queues: Queues,
    queued: Queued,
}

fn store<K: Resource<DynamicType = ()> + Clone>() -> (Writer<K>, Store<K>) {
    let writer = Writer::default();
    let store = writer.as_reader();
    (writer, store)
}

impl Cluster {
    fn new() -> Self {
        let ((devices, devices_store), (groups, groups_store)) = (store(), store());
        let view = View {
            devices: devices_store,
            groups: groups_store,
            workloads: store().1,
            pods: store().1,
            volume_claims: store().1,
            secrets: store().1,
            config_maps: store().1,
            identities: Default::default(),
            references: Default::default(),
            group_references: Default::default(),
            trials: Default::default(),
            filled: Vec::new(),
        };
        let (device_queue, device_names) = unbounded();
        let (group_queue, group_names) = unbounded();
        let (debounced, debounced_names) = unbounded();
        let queues = Queues { devices: device_queue, groups: group_queue, debounced };
        let queued = Queued { devices: device_names, groups: group_names, debounced: debounced_names };
        Self { view, devices, groups, queues, queued }
    }

    fn device(&mut self, name: &str, spec: &str) {
        let device: IoTDevice = object("IoTDevice", name, spec);
        self.devices.apply_watcher_event(&Event::Apply(device.clone()));
        let now = Some(Arc::new(device.clone()));
        let change = Change { meta: &device.metadata, before: None, now, gone: false };
        device_changed(&self.view, &self.queues, &change);
        self.queued.take();
        self.queued.take_debounced();
    }

    /// Changes a device, and returns what that triggers.
    fn device_becomes(&mut self, name: &str, edit: impl FnOnce(&mut IoTDevice)) -> String {
        let before = self.view.devices.get(&ObjectRef::new(name).within("n")).unwrap();
        let mut device = IoTDevice::clone(&before);
        edit(&mut device);
        self.devices.apply_watcher_event(&Event::Apply(device.clone()));
        let now = Some(Arc::new(device.clone()));
        let change = Change { meta: &device.metadata, before: Some(before), now, gone: false };
        device_changed(&self.view, &self.queues, &change);
        self.queued.take()
    }

    /// Returns what a StatefulSet triggers that was as `before` and is as `now`.
    fn workload(&mut self, before: &str, now: &str) -> Vec<Debounced> {
        let read = |text: &str| -> Arc<StatefulSet> { Arc::new(serde_saphyr::from_str(text).unwrap()) };
        let (before, now) = (read(before), read(now));
        let meta = now.metadata.clone();
        let change = Change { meta: &meta, before: Some(before), now: Some(now), gone: false };
        workload_changed(&self.queues, &change);
        self.queued.take_debounced()
    }

    /// Adds or replaces a group, and returns what that triggers.
    fn group(&mut self, name: &str, spec: &str) -> String {
        let group: ProvisioningGroup =
            object("ProvisioningGroup", name, &format!("{{dps: {{idScope: s}}, {spec}}}"));
        let mut group = group;
        let before = self.view.groups.get(&ObjectRef::from(&group));
        group.metadata.generation = before
            .as_ref()
            .and_then(|before| before.metadata.generation)
            .map_or(Some(1), |one| Some(one + 1));
        self.groups.apply_watcher_event(&Event::Apply(group.clone()));
        let change =
            Change { meta: &group.metadata, before, now: Some(Arc::new(group.clone())), gone: false };
        group_changed(&self.view, &self.queues, &change);
        self.queued.take()
    }

    fn without_group(&mut self, name: &str) -> String {
        let before = self.view.groups.get(&ObjectRef::new(name).within("n")).unwrap();
        self.groups.apply_watcher_event(&Event::Delete(ProvisioningGroup::clone(&before)));
        let meta = before.metadata.clone();
        let change = Change { meta: &meta, before: Some(before), now: None, gone: true };
        group_changed(&self.view, &self.queues, &change);
        self.queued.take()
    }

    /// Returns what a changed Secret or ConfigMap triggers.
    fn changed(&mut self, referent: Referent, name: &str, by_operator: bool) -> String {
        referent_changed(&self.view, &self.queues, referent, &meta(name), by_operator);
        self.queued.take()
    }

    fn secret(&mut self, name: &str) -> String {
        self.changed(Referent::Secret, name, false)
    }

    fn claim(&mut self, name: &str) -> String {
        volume_claim_changed(&self.view, &self.queues, &meta(name));
        self.queued.take()
    }
}

fn meta(name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some("n".to_owned()), name: Some(name.to_owned()), ..ObjectMeta::default() }
}

/// Returns the metadata of an object that a device controls.
fn meta_of(device: &str, name: &str) -> ObjectMeta {
    let owner: IoTDevice = object("IoTDevice", device, "{}");
    ObjectMeta { owner_references: owner.controller_owner_ref(&()).map(|owner| vec![owner]), ..meta(name) }
}

fn object<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &str) -> K {
    let meta = format!("{{name: {name}, namespace: n, uid: {name}, generation: 1}}");
    let text = format!("{{apiVersion: lanyard.dev/v1alpha1, kind: {kind}, metadata: {meta}, spec: {spec}}}");
    serde_saphyr::from_str(&text).unwrap()
}

const KEY: &str = "attestation: {symmetricKey: {secretRef: {name: key}}}";

#[test]
fn shared_secret_triggers_its_group_and_devices() {
    let mut cluster = Cluster::new();
    cluster.device("press", "{groupRef: {name: line}}");
    cluster.device("pump", "{groupRef: {name: other}}");
    assert_eq!(cluster.group("line", KEY), "press line");
    assert_eq!(
        cluster.group("other", "attestation: {symmetricKey: {secretRef: {name: others-key}}}"),
        "pump other"
    );
    assert_eq!(cluster.secret("key"), "press line");
    assert_eq!(cluster.secret("others-key"), "pump other");
    assert_eq!(cluster.changed(Referent::ConfigMap, "key", false), "");
    assert_eq!(cluster.secret("unused"), "");
}

#[test]
fn every_ca_of_a_group_triggers_its_devices() {
    let mut cluster = Cluster::new();
    cluster.device("press", "{groupRef: {name: line}}");
    let x509 = "attestation: {x509: {issuer: {secretRef: {name: ca}, verificationCode: C}, secondaryIssuer: {secretRef: {name: next}}}}";
    cluster.group("line", x509);
    assert_eq!(cluster.secret("ca"), "press line");
    assert_eq!(cluster.secret("next"), "press line");
    // Only the group reads the answer to a code; the operator's own write of it is no news.
    assert_eq!(cluster.secret("line-verification"), "line");
    assert_eq!(cluster.changed(Referent::Secret, "line-verification", true), "");
    assert_eq!(cluster.secret("line-secondary-verification"), "");
}

#[test]
fn trusted_ca_of_a_group_triggers_its_devices() {
    let mut cluster = Cluster::new();
    cluster.device("press", "{groupRef: {name: line}}");
    let group: ProvisioningGroup = object(
        "ProvisioningGroup",
        "line",
        &format!(
            "{{dps: {{idScope: s, trustedCA: {{configMapKeyRef: {{name: roots, key: ca.crt}}}}}}, {KEY}}}"
        ),
    );
    let meta = group.metadata.clone();
    let change = Change { meta: &meta, before: None, now: Some(Arc::new(group)), gone: false };
    group_changed(&cluster.view, &cluster.queues, &change);
    cluster.queued.take();
    assert_eq!(cluster.changed(Referent::ConfigMap, "roots", false), "press line");
    assert_eq!(cluster.secret("roots"), "");
}

#[test]
fn lists_of_a_group_trigger_the_group_only() {
    let mut cluster = Cluster::new();
    cluster.device("press", "{groupRef: {name: line}}");
    let lists = "import: {configMapRef: {name: list, key: csv}}, export: {secretName: out}";
    cluster.group("line", &format!("{KEY}, {lists}"));
    assert_eq!(cluster.changed(Referent::ConfigMap, "list", false), "line");
    assert_eq!(cluster.secret("out"), "line");
    assert_eq!(cluster.changed(Referent::Secret, "out", true), "", "the operator wrote it");
}

#[test]
fn changed_group_is_triggered_by_its_new_secret_only() {
    let mut cluster = Cluster::new();
    // It names the group's key as its own, which the group's existence forbids.
    let own = "{hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: key}}}}}";
    cluster.device("own", own);
    assert_eq!(cluster.group("line", KEY), "own line");
    assert_eq!(cluster.view.group_with_secret("n", "key").as_deref(), Some("line"));
    assert_eq!(cluster.view.group_with_secret("other", "key"), None);
    let changed = cluster.group("line", "attestation: {symmetricKey: {secretRef: {name: next-key}}}");
    assert_eq!(changed, "own line");
    assert_eq!(cluster.secret("key"), "own");
    assert_eq!(cluster.view.group_with_secret("n", "key"), None);
    assert_eq!(cluster.secret("next-key"), "line");
    assert_eq!(cluster.without_group("line"), "");
    assert_eq!(cluster.secret("next-key"), "");
}

#[test]
fn claim_of_a_template_triggers_devices_that_inherit_it() {
    let mut cluster = Cluster::new();
    cluster.device("press", "{groupRef: {name: line}}");
    cluster.device("pump", "{groupRef: {name: line}, buffer: {storage: {existingClaim: {name: own-disk}}}}");
    cluster.group(
        "line",
        &format!("{KEY}, template: {{buffer: {{storage: {{existingClaim: {{name: disk}}}}}}}}"),
    );
    assert_eq!(cluster.claim("disk"), "press");
    assert_eq!(cluster.claim("own-disk"), "pump");
    assert_eq!(cluster.claim("other"), "");
}

#[test]
fn foreign_secret_with_the_credentials_name_triggers_the_device() {
    let mut cluster = Cluster::new();
    cluster.device("press", "{groupRef: {name: line}}");
    cluster.device("pump", "{groupRef: {name: line}, credentials: {secretName: mine}}");
    assert_eq!(cluster.secret("press-credentials"), "press");
    assert_eq!(cluster.secret("mine"), "pump");
    assert_eq!(cluster.changed(Referent::ConfigMap, "press-credentials", false), "");
}

#[test]
fn own_write_of_a_devices_secret_triggers_nothing() {
    let mut cluster = Cluster::new();
    cluster.device("press", "{groupRef: {name: line}}");
    for (by_operator, triggered) in [(false, "press"), (true, "")] {
        let meta = meta_of("press", "press-credentials");
        referent_changed(&cluster.view, &cluster.queues, Referent::Secret, &meta, by_operator);
        assert_eq!(cluster.queued.take(), triggered, "by the operator: {by_operator}");
    }
}

#[test]
fn status_of_a_device_triggers_its_rivals_and_its_group_only() {
    let mut cluster = Cluster::new();
    let at_hub = "{deviceId: X, hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: k}}}}}";
    cluster.device("press", at_hub);
    cluster.device("rival", at_hub);
    cluster.device("pump", "{groupRef: {name: line}}");
    let status = |text: &'static str| {
        move |device: &mut IoTDevice| device.status = Some(serde_saphyr::from_str(text).unwrap())
    };
    assert_eq!(cluster.device_becomes("press", status("{observedGeneration: 1, assignedHub: h}")), "rival");
    let again = status("{observedGeneration: 2, assignedHub: h}");
    assert_eq!(cluster.device_becomes("press", again), "", "who waits for the identity learns nothing new");
    let edited = cluster.device_becomes("press", |device| device.metadata.generation = Some(2));
    assert_eq!(edited, "press rival");
    assert_eq!(cluster.queued.take_debounced(), [], "it has no group");
    let counted = status("{observedGeneration: 1, provisioningState: Provisioned}");
    assert_eq!(cluster.device_becomes("pump", counted), "");
    let line = || Debounced::Group(Key::new("n", "line"));
    assert_eq!(cluster.queued.take_debounced(), [line(), line()], "the group before and the group now");
    let more = status("{observedGeneration: 1, provisioningState: Provisioned, deviceId: pump}");
    assert_eq!(cluster.device_becomes("pump", more), "");
    assert_eq!(cluster.queued.take_debounced(), [], "the group counts nothing else");
}

#[test]
fn workload_triggers_its_device_when_its_pod_may_change() {
    let mut cluster = Cluster::new();
    let owner = ", ownerReferences: [{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, name: press, uid: u, controller: true}]";
    let workload = |owner: &str, more: &str| {
        format!("{{metadata: {{name: press-agent, namespace: n, generation: 1{owner}}}{more}}}")
    };
    let first = workload(owner, ", status: {replicas: 1, updateRevision: a}");
    let ready = workload(owner, ", status: {replicas: 1, updateRevision: a, readyReplicas: 1}");
    let rolled = workload(owner, ", status: {replicas: 1, updateRevision: b}");
    assert_eq!(cluster.workload(&first, &ready), []);
    assert_eq!(cluster.workload(&first, &rolled), [Debounced::Device(Key::new("n", "press"))]);
    assert_eq!(cluster.workload(&first, &workload("", "")), [], "it belongs to no device");
}
