//! Identities of devices at hubs and DPS: of several objects with one identity, one connects.

pub mod index;
pub mod precedence;
pub mod contest;
pub mod compare;
