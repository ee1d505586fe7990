//! The Device Provisioning Service, in the order in which a device meets it.

pub mod attestation;
pub mod certificates;
pub mod service;
pub mod answer;
pub mod assignment;
