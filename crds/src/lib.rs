//! The API `lanyard.dev/v1alpha1`: its kinds with their limits, rules and documentation. Pure.
//!
//! ```text
//! device       IoTDevice: one identity at one hub
//! group        ProvisioningGroup: a DPS enrollment group, and the fields that its devices inherit
//! certificate  validity and keys of certificates, and their CA
//! bulk         import and export of lists of devices
//! stream       sources, tags, telemetry: fields of both kinds
//! buffer       buffer of events and its volume
//! agent        placement and resources of the agent
//! dps          the Device Provisioning Service
//! slot         primary and secondary key or CA
//! refer        references to Secrets and ConfigMaps
//! status       status of both kinds
//! schema       from these types to the manifests of `crds/manifests`
//! ```
//!
//! `kubectl explain` shows the comments of fields. A schema or a CEL rule refuses invalid values when the object is
//! applied; errors that depend on the cluster become conditions.

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
pub mod slot;
pub mod dps;
pub mod status;
pub mod schema;

pub use device::{IoTDevice, IoTDeviceSpec};
pub use group::{ProvisioningGroup, ProvisioningGroupSpec};
pub use status::{IoTDeviceStatus, ProvisioningGroupStatus};
