//! Buffered events become messages: what goes into one, how it is written, and which are under way.

pub mod json;
mod template;
mod body;
pub mod narrow;
pub mod wide;
pub mod message;
pub mod outbox;
#[cfg(test)]
mod model;
pub mod shared;
