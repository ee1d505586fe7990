//! Tags: what is read from the field, when, and what of it becomes an event.

pub mod event;
pub mod simulator;
pub mod reader;
pub mod schedule;
mod deadband;
pub mod sampling;
