//! `IoTDevice`, stage by stage; only observe and apply access the cluster.

pub mod context;
pub mod observe;
pub mod validate;
pub mod issue;
pub mod plan;
pub mod apply;
pub mod report;
pub mod reconcile;
