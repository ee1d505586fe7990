//! Last stage: status, conditions and events.

pub mod outcome;
pub mod state;
mod agent_ready;
pub mod credentials_ready;
mod connection;
pub mod status;
