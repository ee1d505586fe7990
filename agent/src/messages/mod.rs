//! Buffered events become messages: what goes into one, how it is written, and which are under way.

pub mod json;
mod sample;
mod body;

pub mod message;
pub mod outbox;
#[cfg(test)]
mod outbox_model;
pub mod shared_outbox;
