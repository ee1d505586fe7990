//! Level: pipeline. The agent's program and the emulator's, over TLS on loopback: what is sampled reaches the hub.

mod fixture;
mod thread;
mod continuity;
mod limits;
mod buffer_kill;
mod buffer_disk;
mod buffer_full;
mod formats_template;
mod formats_options;
mod formats_quality;
mod controls;
mod forge;
mod dps;
mod keys;
mod x509_hub;
mod x509_renewal;
mod x509_dps;
mod moving;
mod changes;
mod reload;
mod failures;
mod start;
mod example;
mod readme;
