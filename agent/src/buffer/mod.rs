//! What is kept until the hub acknowledges it.

pub mod account;
pub mod storage;
pub mod memory;
