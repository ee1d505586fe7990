//! The emulator's own HTTP: probes, metrics and controls.

pub mod server;
pub mod guard;
pub mod state;
pub mod routes;
pub mod probes;
pub mod devices;
pub mod controls;
pub mod faults;
pub mod events;
pub mod metrics;
