//! Fifth stage: makes the cluster agree with the plan.

pub mod written;
pub mod error;
pub mod compare;
pub mod cache;
mod ownership;
mod answer;
mod planned_object;
pub mod write;
pub mod objects;
