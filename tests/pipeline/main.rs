//! Level: pipeline. The agent's program and the emulator's, over TLS on loopback: what is sampled reaches the hub.

mod fixture;
mod thread;
mod continuity;
mod limits;
mod dps;
mod reload;
mod failures;
mod start;
mod example;
mod readme;
