//! The agent: holds devices' connections to their hubs and moves events.
//!
//! ```text
//! field ─► tags/<source> ─► tags/sampling ─► buffer ─► publisher (batch, in flight) ─► hub/session ─► hub
//!                                              ▲                                            │ PUBACK
//!                                              └──────────── acknowledge, delete ◄──────────┘
//! ```
//!
//! [`config`] reads the handoff files and watches them, [`device`] runs the flow above once for every device, and
//! [`http`] tells how it goes.

// Tests read the clock and draw random numbers where the subject does not depend on them.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod options;
pub mod clock;
pub mod random;
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
