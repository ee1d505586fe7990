//! Registration at DPS, and the stored assignment.

// A number from the network must not end the process: sums are checked, saturate, or state why they cannot overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod registration;
pub mod assignment;
