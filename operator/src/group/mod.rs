//! `ProvisioningGroup`, stage by stage; it issues and plans nothing of its own.

pub mod observe;
pub mod validate;
pub mod report;
pub mod reconcile;
