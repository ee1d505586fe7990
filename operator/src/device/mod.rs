//! `IoTDevice`, stage by stage; only observe and apply access the cluster.

pub mod origin;
pub mod context;
pub mod observation;
pub mod look_up;
pub mod observe;
mod convert;
pub mod validate;
pub mod issue;
pub mod name;
pub mod defaults;
pub mod labels;
pub mod plan;
pub mod workload;
pub mod claim;
pub mod compare;
pub mod cache;
pub mod written;
mod ownership;
mod created;
pub mod apply;
pub mod outcome;
mod agent_ready;
pub mod credentials_ready;
pub mod state;
pub mod report;
mod environment;
pub mod reconcile;
