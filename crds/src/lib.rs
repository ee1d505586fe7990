//! What users write and read: the kinds of `lanyard.dev/v1alpha1` with their limits, rules and documentation. Pure.
//!
//! ```text
//! device       IoTDevice: one identity at one hub
//! group        ProvisioningGroup: a DPS enrollment group and what its devices inherit
//! certificate  how certificates are made, and by which CA
//! bulk         lists of devices, in and out
//! stream       sources, tags, telemetry: what both kinds say about the data
//! buffer       what is kept until the hub has it, and on which volume
//! agent        where and with how much the agent runs
//! refer        references to Secrets and ConfigMaps
//! status       what the operator answers
//! schema       from these types to the manifests of `crds/manifests`
//! ```
//!
//! Field comments are the documentation that `kubectl explain` shows. What a schema or a CEL rule can refuse is
//! refused when the object is applied; what only the cluster can tell becomes a condition.

// The columns of `kubectl get` are attributes of one kind, each with the same fields.
#![allow(clippy::duplicated_attributes)]

pub mod device;
pub mod group;
pub mod certificate;
pub mod bulk;
pub mod stream;
pub mod buffer;
pub mod agent;
pub mod refer;
pub mod status;
pub mod schema;

pub use device::{IoTDevice, IoTDeviceSpec};
pub use group::{ProvisioningGroup, ProvisioningGroupSpec};
pub use status::{IoTDeviceStatus, ProvisioningGroupStatus};
