//! The agent: connects devices to their hubs and delivers their events.
//!
//! ```text
//! source ─► tags (read, sample) ─► buffer (store, in flight) ─► messages (fill, order) ─► session ─► mqtt ─► hub
//!                                    ▲                                                       │ PUBACK
//!                                    └──────────────── acknowledge, delete ◄─────────────────┘
//! ```
//!
//! [`config`] reads the handoff files and watches them, [`devices`] runs the flow above for each device, [`credentials`]
//! and [`dps`] prepare a connection, and [`http`] serves the [`status`].

// Tests read the clock and draw random numbers where the subject does not depend on them.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

#[cfg(test)]
mod scratch_folder;
pub mod options;
pub mod clock;
pub mod random;
pub mod environment;
pub mod wait;
pub mod stop;
pub mod config;
pub mod tags;
pub mod buffer;
pub mod messages;
pub mod status;
pub mod mqtt;
pub mod credentials;
pub mod dps;
pub mod session;
pub mod devices;
pub mod http;
