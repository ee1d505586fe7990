//! Credentials of a device: which one to use, what became of each, and tokens signed with keys.

// A number from the network must not end the process: sums are checked, saturate, or state why they cannot overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod token;
pub mod select;
pub(crate) mod failure;
pub mod set;
