//! IoT Hub, in the order in which a device meets it.

pub mod hubs;
pub mod device;
pub mod identity;
pub mod connections;
pub mod counters;
pub mod session;
pub mod token;
pub mod certificate;
pub mod admission;
pub mod subscription;
pub mod telemetry;
pub mod twin;
