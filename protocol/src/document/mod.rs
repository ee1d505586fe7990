//! Documents that people write in YAML: where every field stands, what is wrong in words, and all of it at once. Pure.

pub mod position;
pub mod problem;
pub mod error_text;
pub mod substitute;
pub mod read;
