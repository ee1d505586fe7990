//! What the operator sees of the cluster, and what wakes whom.

pub mod scope;
pub mod mirror;
pub mod claims;
pub mod contest;
pub mod view;
pub mod read;
pub mod wake;
pub mod follow;
pub mod answer;
