//! Files that the operator gives an agent, and the agent's answer on `/status`. Pure: no I/O, no clock, no randomness.
//!
//! A configuration document ([`config`]) lists devices; a credentials directory ([`credentials`]) has one folder for
//! each device; `/status` ([`status`]) reports the state of each device. An agent without Kubernetes uses the same
//! files.

pub mod templates;
pub mod interval;
pub mod size;
pub mod buffer;
pub mod tag;
pub mod telemetry;
pub mod config;
pub mod validation;
pub mod parse;
pub mod credentials;
pub mod fingerprint;
pub mod status;
