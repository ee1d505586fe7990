//! Raw bytes to the emulator over an in-memory stream, and literal bytes back. Time is paused and the clock follows it,
//! so keep-alives and tokens end without waiting.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here is a test that fails")]

mod bytes;
#[allow(dead_code, reason = "shared with the process tests")]
mod pki;
mod client;
mod connect;
mod takeover;
mod telemetry;
mod faults;
mod subscribe;
mod lifetime;
mod provisioning;
mod registering;
mod hub_certificates;
mod dps_certificates;
mod re_registration;
mod hostile;
