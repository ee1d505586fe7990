//! Operator: custom resources become credentials, configuration and agents, and their state becomes conditions.
//!
//! ```text
//! arguments       command line
//! derive_key      command: key of a device
//! check           command: kinds and permissions at the API server
//! emulator_ca     command: CA for an emulator in the cluster
//! leader          election of the working replica
//! overlap         two installations with a shared namespace
//! installations   older installations, from their Leases
//! clock, random   time and random numbers
//! kubernetes      vocabulary: keys, labels, owners, stores, watches, queues
//! references      objects that devices and groups refer to, and the index of them
//! snapshot        cached objects, and queries on them
//! reader          reads of referenced Secrets and ConfigMaps
//! triggers        changes of objects, and the devices and groups to reconcile
//! identity        identities of devices: of several objects, one connects
//! credential      keys and certificates: issued, checked, renewed, replaced
//! agents          pods of agents, and their polled status
//! device          IoTDevice: observe → validate → issue → plan → apply → report
//! group           ProvisioningGroup: observe → validate → lists → report
//! reason          reasons of conditions, events and metrics
//! fault           errors that a user must fix
//! permit          consent and limits of references
//! conditions      conditions of both kinds
//! controller      caches, queues and controllers
//! backoff         delay of a failed object
//! status_writer   writes statuses and events
//! metrics         counters for Prometheus
//! fleet           gauges for Prometheus, from the cached objects
//! http            /metrics, /livez, /readyz
//! ```

// Tests read the clock and draw random numbers where the subject does not depend on them.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod arguments;
pub mod derive_key;
pub mod check;
pub mod emulator_ca;
pub mod leader;
pub mod overlap;
pub mod installations;
pub mod clock;
pub mod random;
pub mod kubernetes;
pub mod references;
pub mod snapshot;
pub mod reader;
pub mod triggers;
pub mod identity;
pub mod credential;
pub mod agents;
pub mod device;
pub mod group;
pub mod reason;
pub mod fault;
pub mod permit;
pub mod conditions;
pub mod controller;
pub mod backoff;
pub mod status_writer;
pub mod metrics;
pub mod fleet;
pub mod http;
