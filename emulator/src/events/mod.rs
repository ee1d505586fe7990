//! Messages that arrived: what is known of each, where they wait, and how they are shown.

pub mod event;
pub mod store;
pub mod json;
