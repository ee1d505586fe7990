//! Status of devices: written by their tasks, read by HTTP, readiness and metrics.

pub mod metrics;
pub mod connection;
pub mod device;
pub mod collector;
pub mod page;
