//! Changes of objects, and the devices and groups that they make reconcile.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::runtime::watcher::Event;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_operator::kubernetes::queues::{Crowd, Queues};
use lanyard_operator::kubernetes::reference::Referent;
use lanyard_operator::kubernetes::store::Change;
use lanyard_operator::snapshot::View;
use lanyard_operator::triggers::{device_changed, group_changed, referent_changed, volume_claim_changed};

/// Receivers of the queues.
struct Queued {
    devices: UnboundedReceiver<ObjectRef<IoTDevice>>,
    groups: UnboundedReceiver<ObjectRef<ProvisioningGroup>>,
    _crowd: UnboundedReceiver<Crowd>,
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
        let (crowd, _crowd) = unbounded();
        let queues = Queues { devices: device_queue, groups: group_queue, crowd };
        let queued = Queued { devices: device_names, groups: group_names, _crowd };
        Self { view, devices, groups, queues, queued }
    }

    fn device(&mut self, name: &str, spec: &str) {
        let device: IoTDevice = object("IoTDevice", name, spec);
        self.devices.apply_watcher_event(&Event::Apply(device.clone()));
        let now = Some(Arc::new(device.clone()));
        let change = Change { meta: &device.metadata, before: None, now, gone: false };
        device_changed(&self.view, &self.queues, &change);
        self.queued.take();
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
}
