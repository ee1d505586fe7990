//! The operator: from what users ask for to credentials, configuration and agents, and back to conditions.
//!
//! ```text
//! arguments   how the program is called
//! derive_key  a device's key for people with a shell
//! check       whether the API server has what the operator needs
//! emulator_ca a CA for an emulator in the cluster
//! leader      who of several operators works
//! overlap     which of two installations works on a namespace
//! installations  older installations, as their Leases tell them
//! cluster     what the operator sees: mirrors of objects, who refers to whom, what wakes whom
//! credential  keys and certificates: made, checked, exchanged and renewed
//! device      IoTDevice: observe → validate → issue → plan → apply → report
//! group       ProvisioningGroup: observe → validate → lists in and out → report
//! fault       what somebody has to change, with its stable reason
//! conditions  how both kinds say how they are
//! work        mirrors, queues and controllers together
//! backoff     how long a failed object waits
//! metrics     what Prometheus reads: counters
//! fleet       what Prometheus reads: gauges over the mirrored objects
//! http        /metrics, /livez, /readyz
//! ```

pub mod arguments;
pub mod derive_key;
pub mod check;
pub mod emulator_ca;
pub mod leader;
pub mod overlap;
pub mod installations;
pub mod cluster;
pub mod credential;
pub mod device;
pub mod group;
pub mod fault;
pub mod permit;
pub mod conditions;
pub mod work;
pub mod backoff;
pub mod metrics;
pub mod fleet;
pub mod http;
