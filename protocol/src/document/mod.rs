//! Documents that people write in YAML: where every field stands, what is wrong in words, and all of it at once. Pure.

pub mod place;
pub mod problem;
pub mod words;
pub mod mend;
pub mod reading;
