//! Level: pipeline. The agent's program and the emulator's, over TLS on loopback: what is sampled reaches the hub.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]

mod fixture;
mod thread;
mod continuity;
mod limits;
mod buffer_kill;
mod buffer_disk;
mod buffer_full;
mod chaos;
mod chaos_away;
mod chaos_cut;
mod chaos_resets;
mod chaos_pubacks;
mod chaos_kill;
mod chaos_network;
mod formats_template;
mod formats_options;
mod formats_quality;
mod controls;
mod certificate_maker;
mod dps;
mod keys;
mod x509_hub;
mod x509_renewal;
mod x509_dps;
mod moving;
mod changes;
mod reload;
mod failures;
mod faults;
mod hostile;
mod start;
mod example;
mod readme;
