//! Azure IoT Hub and DPS on one TLS port, faithful enough for Microsoft's own device SDKs.
//!
//! ```text
//! socket ─► tls ─► connection/handshake (CONNECT) ─┬─► connection/hub_session ─► hub/ ─► events/ ─► web/
//!                                                  └─► connection/dps_session ─► dps/ ─► hub/
//!
//! configuration ─► config/ (validation) ─► registry/ (data) ─► startup ─► state ◄─ controls/ (changes at runtime)
//! ```
//! Each documented behaviour has one function, which names the section of the reference ("ref") it follows.

// Tests read the clock and draw random numbers where the subject does not depend on them.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod arguments;
pub mod clock;
pub mod random;
pub mod journal;
pub mod registry;
pub mod config;
pub mod excerpt;
pub mod state;
pub mod startup;
pub mod tls;
pub mod x509;
pub mod connection;
pub mod mqtt;
pub mod faults;
pub mod hub;
pub mod dps;
pub mod controls;
pub mod events;
pub mod web;
pub mod serve;
pub mod client;
pub mod print;
pub mod control;
