//! Buffered events become messages: what goes into one, how it is written, and which are in flight.

pub mod json;
mod sample;
mod body;

mod fill;
pub mod outbox;
#[cfg(test)]
mod outbox_model;
pub mod shared_outbox;
