//! What is kept until the hub acknowledges it: events as bytes, in blocks, in segments, with a journal beside them.

pub mod account;
mod varint;
pub(crate) mod stamp;
pub mod record;
mod names;
pub(crate) mod files;
mod block;
mod segment;
mod scan;
mod segments;
mod hole;
pub mod entry;
mod journal;
pub mod sync;
pub mod allowance;
pub mod window;
mod recovery;
pub mod store;
mod disk;
mod append;
pub mod deliver;
