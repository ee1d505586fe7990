//! `IoTDevice`, stage by stage. Observe, apply and reconcile access the cluster; the other stages are pure.

pub mod context;
pub mod observe;
pub mod validate;
pub mod issue;
pub mod plan;
pub mod apply;
pub mod report;
pub mod requeue;
pub mod reconcile;
#[cfg(test)]
pub(crate) mod test_objects;
