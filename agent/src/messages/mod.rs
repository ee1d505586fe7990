//! Messages: the choice of their events, their bytes, and their order.

pub mod json;
mod sample;
mod body;

mod fill;
pub mod outbox;
#[cfg(test)]
mod outbox_model;
#[cfg(test)]
mod outbox_restart;
pub mod shared_outbox;
