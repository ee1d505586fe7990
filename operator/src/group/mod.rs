//! `ProvisioningGroup`, stage by stage; it issues and plans nothing itself.

pub mod observe;
pub mod validate;
pub mod possession;
pub mod verify;
pub mod rollover;
pub mod csv;
pub mod context;
pub mod device_list;
pub mod import;
pub mod apply;
pub mod export;
pub mod pace;
pub mod process_lists;
pub mod list_status;
pub mod report;
pub mod reconcile;
