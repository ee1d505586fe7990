//! Second stage: the device merged with its group's template, or the error that a user must fix.

pub mod approval;
pub mod origin;
mod convert;
pub mod effective;
