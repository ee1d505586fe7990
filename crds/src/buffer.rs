//! What is kept of a device's events until the hub has them, and on which volume. Pure.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::refer::object_name;

/// The buffer of a device: what its agent keeps on a volume until the hub acknowledges it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Buffer {
    /// Most bytes that the events take on the volume, from 64Ki to 1Ti, such as `256Mi` or `10Gi`; 256Mi unless it is set. The
    /// volume itself is an eighth and 64Mi larger, for file systems and for what is written while room is made: 352Mi for 256Mi.
    ///
    /// An agent takes a new capacity while it runs; when it is smaller than what is buffered, whenFull says what becomes of the
    /// rest. But with storage.emptyDir a new pod starts, because Kubernetes changes its limit in no other way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "capacity")]
    pub capacity: Option<Quantity>,
    /// What becomes of events when there is no room for them.
    ///
    /// `DropOldest` (the default): the oldest make room, a sixteenth of the capacity at once. The newest state of the plant
    /// always reaches the cloud, and after a long outage there is one gap, at the outage's beginning. Choose it where the
    /// present matters more than the past: dashboards, alarms.
    ///
    /// `DropNewest`: what is read is dropped, a whole scan at a time, until there is room again. What was buffered stays whole,
    /// and after a long outage there is one gap, at the outage's end. Choose it where the first events tell most: what led to a
    /// fault.
    ///
    /// `Block`: tags are not read until there is room again, so nothing that was read is dropped, and what happens in the
    /// field meanwhile is never seen, unless the field device keeps it. One scan may exceed the capacity. Choose it for
    /// sources that wait, such as queues and historians.
    ///
    /// Every event that is dropped is counted in the metric `lanyard_events_dropped_total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_full: Option<WhenFull>,
    /// What a crash can lose: an agent that ends or is killed never loses an event that it has read; when the node loses power,
    /// `EverySecond` (the default) loses what was read in the last second or two, `EveryWrite` nothing, though the agent waits for
    /// the disk at each scan, and `Never`, which leaves it to the operating system, about the last 30 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<Sync>,
    /// Whether the cloud side sees a gap: `Enabled` (the default), an event `_lanyard.dropped` in its place, with the number of
    /// events that are missing and the times of the first and the last of them; or `Disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_markers: Option<DropMarkers>,
    /// The volume; `emptyDir: {}` unless it is set.
    ///
    /// Another volume means a new pod, which begins with what is on that volume. The agent of before uses its last seconds to
    /// deliver what it has, so change the volume while the device is connected: of an emptyDir the rest is gone, on a claim it
    /// waits until the device is back on that claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
}

/// What becomes of events when there is no room for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenFull {
    /// The oldest make room.
    DropOldest,
    /// They are dropped.
    DropNewest,
    /// They are not read.
    Block,
}

/// When what was written is forced from the operating system to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Sync {
    /// When the operating system likes to.
    Never,
    /// A second later.
    EverySecond,
    /// At once.
    EveryWrite,
}

/// Whether the cloud side sees a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DropMarkers {
    /// It does.
    Enabled,
    /// It does not.
    Disabled,
}

/// A volume for a buffer: exactly one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.emptyDir), has(self.claim), has(self.existingClaim)].filter(set, set).size() == 1",
    "message": "set exactly one of emptyDir (a folder of the pod), claim (a PersistentVolumeClaim that the operator makes) and existingClaim (one that you made)"
}]))]
pub struct Storage {
    /// A folder of the pod on its node. It outlives restarts of the agent in its pod, `kill -9` and crashes included, but not the
    /// pod: what the hub does not have is lost when the pod is deleted, evicted, drained from its node or replaced by a new one.
    /// The kubelet does not evict a pod for a buffer within its capacity; a node that runs out of disk may evict any pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// A PersistentVolumeClaim of the device's own, `<name>-agent-buffer` (see `kubectl get pvc -l lanyard.dev/device=<name>`),
    /// which the operator makes and which outlives the pod: nothing is lost by a drained node, an eviction or a rollout.
    ///
    /// It grows with capacity where its StorageClass allows that; else the device is not Ready, reason `Refused`, and everything
    /// stays as it was. It never shrinks: with a smaller capacity a part of it stays unused. storageClassName and accessMode of a
    /// claim cannot be changed: the device is not Ready then, reason `ClaimImmutable`, until they are set back or the claim is
    /// deleted. It stays while the device is blocked, has agent.mode `None` or another storage; a device of the same name that
    /// is made later takes it over, with the events on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// A PersistentVolumeClaim in the same namespace that you made, with the label `lanyard.dev/buffer: shared`, and that the
    /// operator does not touch: its size must suffice for capacity, and the group 65532 must be able to write to it. Each device sees a folder of its name on it and no
    /// other, so that devices can share one, with access mode ReadWriteMany or all on one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing_claim: Option<ClaimReference>,
}

/// A folder of the pod. It takes no settings: its limit follows from the capacity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
// What a type without fields does not know is dropped without a word by a server-side apply, unless it is to be kept.
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true, "maxProperties" = 0))]
pub struct EmptyDir {}

/// A PersistentVolumeClaim that the operator makes. `claim: {}` is enough where the cluster has a default StorageClass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Name of its StorageClass; the cluster's default unless it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_name")]
    pub storage_class_name: Option<String>,
    /// Who may mount it: `ReadWriteOnce`, the pods of one node (the default), `ReadWriteOncePod`, one pod, or `ReadWriteMany`,
    /// where a storage has nothing else. Only the device's one pod does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_mode: Option<AccessMode>,
    /// What becomes of it when the device is deleted: `Retain` (the default), it stays with the events that the hub does not have,
    /// until somebody deletes it; or `Delete`, it goes with the device, and so do those events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_deleted: Option<WhenDeleted>,
}

/// Who may mount a claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// The pods of one node.
    #[default]
    ReadWriteOnce,
    /// One pod.
    ReadWriteOncePod,
    /// All pods.
    ReadWriteMany,
}

impl AccessMode {
    /// Kubernetes' word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
            Self::ReadWriteMany => "ReadWriteMany",
        }
    }
}

/// What becomes of a claim when its device is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenDeleted {
    /// It stays.
    #[default]
    Retain,
    /// It goes.
    Delete,
}

/// A PersistentVolumeClaim in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimReference {
    /// Name of the PersistentVolumeClaim.
    #[schemars(schema_with = "object_name")]
    pub name: String,
}

/// Text only, as all amounts are here; no more digits than a number of bytes can have.
fn capacity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 20,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[0-9]{1,13}([.][0-9]{1,3})?([kMGT]|[KMGT]i)?$') && quantity(self).compareTo(quantity('64Ki')) >= 0 && quantity(self).compareTo(quantity('1Ti')) <= 0",
            "message": "use an amount of bytes from 64Ki to 1Ti, such as 256Mi or 10Gi"
        }]
    })
}
