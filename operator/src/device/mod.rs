//! `IoTDevice`, stage by stage; only observe and apply touch the cluster.

pub mod ask;
pub mod agents;
pub mod observe;
pub mod validate;
pub mod issue;
pub mod plan;
pub mod workload;
pub mod compare;
pub mod remembered;
pub mod apply;
pub mod pod;
pub mod report;
pub mod reconcile;
