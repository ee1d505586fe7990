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

pub mod options;
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
