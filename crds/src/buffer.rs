//! Buffer of a device's events, and its volume. Pure.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::refer::object_name;

/// Buffer of a device: its agent stores events on a volume until the hub acknowledges them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Buffer {
    /// Maximum size of the events on the volume, from 64Ki to 1Ti, such as `256Mi` or `10Gi`. The default is 256Mi.
    /// The volume is larger by an eighth and 64Mi, for the file system and for temporary files: 352Mi for 256Mi.
    ///
    /// The agent applies a new capacity while it runs; if it is smaller than the buffered events, whenFull applies to
    /// the rest. With storage.emptyDir a new pod starts, because Kubernetes cannot change the limit of a running one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "capacity")]
    pub capacity: Option<Quantity>,
    /// Policy for a full buffer.
    ///
    /// `DropOldest` (the default) deletes the oldest events, a sixteenth of the capacity at once. The newest events
    /// always reach the cloud, and a long outage leaves one gap at its beginning. Choose it where the present matters
    /// most, such as for dashboards and alarms.
    ///
    /// `DropNewest` drops new readings, a whole scan at a time, until there is room. The buffered events stay
    /// complete, and a long outage leaves one gap at its end. Choose it where the first events matter most, such as
    /// the cause of a fault.
    ///
    /// `Block` stops reading tags until there is room. No reading is dropped, but changes in the meantime are lost
    /// unless the field device stores them. One scan may exceed the capacity. Choose it for sources that wait, such
    /// as queues and historians.
    ///
    /// The metric `lanyard_events_dropped_total` counts every dropped event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_full: Option<WhenFull>,
    /// Time at which written events are synced to disk. It matters for a power failure of the node only; an agent
    /// that ends or is killed loses no event. `EverySecond` (the default) loses the last one or two seconds.
    /// `EveryWrite` loses nothing, and the agent waits for the disk at each scan. `Never` leaves it to the operating
    /// system and loses about 30 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<Sync>,
    /// Marker events for gaps: `Enabled` (the default) sends an event `_lanyard.dropped` in place of each gap, with
    /// the number of missing events and the times of the first and the last of them. `Disabled` sends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_markers: Option<DropMarkers>,
    /// Volume of the buffer. The default is `emptyDir: {}`.
    ///
    /// A change of the volume creates a new pod, which starts with the contents of the new volume. The old agent
    /// delivers what it can in its last seconds, so change the volume while the device is connected. Undelivered
    /// events are lost with an emptyDir; on a claim they wait until the device uses that claim again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
}

/// Policy for a full buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenFull {
    /// Deletes the oldest events.
    DropOldest,
    /// Drops new readings.
    DropNewest,
    /// Stops reading.
    Block,
}

/// Time at which written events are synced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Sync {
    /// Leaves it to the operating system.
    Never,
    /// Once a second.
    EverySecond,
    /// After each write.
    EveryWrite,
}

/// Marker events for gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DropMarkers {
    /// A marker event in place of each gap.
    Enabled,
    /// No marker events.
    Disabled,
}

/// Volume of a buffer: exactly one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.emptyDir), has(self.claim), has(self.existingClaim)].filter(set, set).size() == 1",
    "message": "set exactly one of emptyDir (a directory of the pod), claim (a PersistentVolumeClaim that the \
        operator creates) and existingClaim (your own claim)"
}]))]
pub struct Storage {
    /// Directory of the pod on its node. It is kept when the agent restarts in its pod, including `kill -9` and
    /// crashes, but not with a new pod: events that the hub has not acknowledged are lost when the pod is deleted,
    /// evicted, drained from its node or replaced. The kubelet does not evict a pod for a buffer within its capacity,
    /// but a node without free disk space may evict any pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// PersistentVolumeClaim of the device, named `<name>-agent-buffer` (see `kubectl get pvc -l
    /// lanyard.dev/device=<name>`). The operator creates it, and it is independent of the pod: a drained node, an
    /// eviction or a rollout loses no events.
    ///
    /// The claim grows with capacity if its StorageClass allows it. Otherwise the device is not Ready with the reason
    /// `Refused`, and the claim stays unchanged. It never shrinks. storageClassName and accessMode of an existing
    /// claim cannot change: the device is then not Ready with the reason `ClaimImmutable` until you revert them or
    /// delete the claim. The claim is kept while the device is blocked, has agent.mode `None` or another storage. A
    /// new device with the same name uses it, with the events on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Your own PersistentVolumeClaim in the same namespace, with the label `lanyard.dev/buffer: shared`. The
    /// operator does not change it: its size must suffice for capacity, and the group 65532 must be able to write to
    /// it. Each device mounts only the directory with its name, so devices can share a claim, with access mode
    /// ReadWriteMany or on one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing_claim: Option<ClaimReference>,
}

/// Directory of the pod. It has no fields: its limit follows from the capacity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
// A server-side apply silently drops unknown fields of a type without fields, unless they are preserved.
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true, "maxProperties" = 0))]
pub struct EmptyDir {}

/// PersistentVolumeClaim that the operator creates. `claim: {}` suffices if the cluster has a default StorageClass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Name of the StorageClass. The default is that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_name")]
    pub storage_class_name: Option<String>,
    /// Access mode of the claim: `ReadWriteOnce` (the default) for the pods of one node, `ReadWriteOncePod` for one
    /// pod, or `ReadWriteMany` for a storage that supports nothing else. Only the device's pod mounts the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_mode: Option<AccessMode>,
    /// Policy for the claim when the device is deleted: `Retain` (the default) keeps it, with the events that the hub
    /// has not acknowledged, until you delete it. `Delete` deletes it, and those events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_deleted: Option<WhenDeleted>,
}

/// Access mode of a claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// Pods of one node.
    #[default]
    ReadWriteOnce,
    /// One pod.
    ReadWriteOncePod,
    /// All pods.
    ReadWriteMany,
}

impl AccessMode {
    /// Returns the value that Kubernetes uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
            Self::ReadWriteMany => "ReadWriteMany",
        }
    }
}

/// Policy for a claim when its device is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenDeleted {
    /// Keeps the claim.
    #[default]
    Retain,
    /// Deletes the claim.
    Delete,
}

/// PersistentVolumeClaim in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimReference {
    /// Name of the PersistentVolumeClaim.
    #[schemars(schema_with = "object_name")]
    pub name: String,
}

/// Returns the schema of a quantity as text, with at most the digits of a number of bytes.
fn capacity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 20,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[0-9]{1,13}([.][0-9]{1,3})?([kMGT]|[KMGT]i)?$') && \
                quantity(self).compareTo(quantity('64Ki')) >= 0 && quantity(self).compareTo(quantity('1Ti')) <= 0",
            "message": "use a quantity of bytes from 64Ki to 1Ti, such as 256Mi or 10Gi"
        }]
    })
}
