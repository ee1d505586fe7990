//! `IoTDevice`, stage by stage; only observe and apply touch the cluster.

pub mod ask;
pub mod agents;
pub mod heed;
pub mod identity;
pub mod observe;
pub mod origin;
mod convert;
pub mod validate;
pub mod issue;
pub mod name;
pub mod defaults;
pub mod plan;
pub mod workload;
pub mod claim;
pub mod compare;
pub mod remembered;
mod standing;
mod created;
pub mod apply;
pub mod pod;
mod agent_ready;
pub mod credentials_ready;
pub mod state;
pub mod report;
mod workshop;
pub mod reconcile;
