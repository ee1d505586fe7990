//! `ProvisioningGroup`, stage by stage; it issues and plans nothing of its own.

pub mod observe;
pub mod validate;
pub mod possession;
pub mod verify;
pub mod rollover;
pub mod csv;
pub mod list;
pub mod import;
pub mod apply;
pub mod export;
pub mod pace;
pub mod lists;
pub mod listed;
pub mod report;
pub mod reconcile;
