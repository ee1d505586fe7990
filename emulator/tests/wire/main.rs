//! Raw bytes to the emulator over an in-memory stream, and literal bytes back. Time is paused and the clock follows it,
//! so keep-alives and tokens end without waiting.

mod bytes;
mod client;
mod connect;
mod takeover;
mod telemetry;
mod subscribe;
mod lifetime;
mod provisioning;
mod hostile;
