//! First stage: everything about one device, read once.

pub mod observation;
pub mod look_up;
pub mod read;
