//! Agents: their pods, and their status, which the operator polls.

pub mod report;
pub mod trust;
pub mod client;
pub mod pod;
pub mod poller;
