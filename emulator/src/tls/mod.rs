//! The emulator's certificates: its own CA, the server's certificate made from it, and whatever clients present.

pub mod constraints;
pub mod authority;
pub mod dates;
pub mod server;
pub mod clients;
