//! Devices and enrollments as data, with their look-ups. Configuration and controls write them, hub and DPS read them;
//! nothing here knows any of these.

pub mod authentication;
pub mod device;
pub mod attestation;
pub mod terms;
pub mod enrollment;
pub mod enrollments;
