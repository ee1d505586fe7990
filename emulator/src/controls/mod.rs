//! Changes by users and tests in a running emulator: devices, enrollments and CA certificates, with the terms of
//! Azure's REST API (ref §11.1, §11.5, §9.7).

pub mod change;
pub mod body;
pub mod devices;
pub mod enrollments;
pub mod certificates;
pub mod apply;
mod fault_entry;
pub mod faults;
pub mod view;
