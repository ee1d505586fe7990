//! Error of a benchmark.

pub(crate) type Failure = Box<dyn std::error::Error>;
