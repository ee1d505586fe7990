//! One device's tasks, and all devices of a process.

pub mod metrics;
pub mod state;
pub mod stop;
pub mod sampler;
pub mod member;
pub mod board;
pub mod fleet;
