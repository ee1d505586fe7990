//! Azure IoT Hub and DPS on one TLS port, faithful enough for Microsoft's own device SDKs.
//!
//! ```text
//! socket ─► tls ─► connection/greeting (CONNECT) ─┬─► connection/hub_session ─► hub/ ─► events/ ─► web/
//!                                                 └─► connection/dps_session ─► dps/ ─► hub/registry
//! ```
//! Each documented behaviour has one function, which names the section of the reference ("ref") it follows.

pub mod arguments;
pub mod clock;
pub mod journal;
pub mod config;
pub mod cloud;
pub mod tls;
pub mod x509;
pub mod connection;
pub mod mqtt;
pub mod hub;
pub mod dps;
pub mod controls;
pub mod events;
pub mod web;
pub mod serve;
pub mod client;
pub mod show;
pub mod control;
