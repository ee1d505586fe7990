//! Reader of YAML documents: reports all problems at once, with positions and fixes. Pure.

pub mod position;
pub mod problem;
pub mod value_error;
pub mod value;
pub mod error_text;
pub mod substitute;
pub mod read;
