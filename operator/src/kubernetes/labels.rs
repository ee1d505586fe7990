//! Labels, field manager and port of objects that the operator writes. Pure.

/// On what the operator makes: the device it belongs to.
pub const DEVICE_LABEL: &str = "lanyard.dev/device";
/// On a pod: the revision of its `StatefulSet` that it was made from. Set by Kubernetes.
pub const REVISION_LABEL: &str = "controller-revision-hash";
/// On everything that belongs to an agent.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
/// Value of [`NAME_LABEL`].
pub const NAME: &str = "lanyard-agent";
/// On everything that the operator makes.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`].
pub const MANAGER: &str = "lanyard-operator";
/// The label by which the owner of a claim gives it to buffers.
pub const SHARED_LABEL: &str = "lanyard.dev/buffer";
/// Value of [`SHARED_LABEL`].
pub const SHARED_VALUE: &str = "shared";
/// Owner of every field that the operator writes.
pub const FIELD_MANAGER: &str = "lanyard";
/// Port of the agent's /metrics, /livez, /readyz and /status.
pub const HTTP_PORT: u16 = 9090;
