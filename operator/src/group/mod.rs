//! `ProvisioningGroup`, stage by stage; it issues and plans nothing itself.

pub mod observe;
pub mod validate;
pub mod possession;
pub mod verify;
pub mod rollover;
pub mod context;
pub mod lists;
pub mod report;
pub mod reconcile;
