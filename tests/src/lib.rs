//! The test harness: starts the programs, waits for conditions, and shows what happened when a wait fails.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]

pub mod process;
pub mod kubernetes;
pub mod scratch;
pub mod http;
pub mod authority;
pub mod cloud;
pub mod emulator;
pub mod installation;
pub mod volume;
pub mod agent;
pub mod readme;
pub mod network;
pub mod chance;
pub mod records;
pub mod proxy;
pub mod stranger;
