//! What the operator hands to an agent as files, and what an agent answers on `/status`.
//!
//! A configuration document ([`config`]) lists devices; a credentials directory ([`credentials`]) holds one folder
//! per device; `/status` ([`status`]) says how each of them is. The same files run an agent on a bare machine.

pub mod interval;
pub mod size;
pub mod buffer;
pub mod tag;
pub mod telemetry;
pub mod config;
pub mod mistake;
pub mod credentials;
pub mod fingerprint;
pub mod status;
