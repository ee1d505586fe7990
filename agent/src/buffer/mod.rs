//! Buffer of a device: events are stored until the hub acknowledges them, in blocks, in segments, with a journal.

pub mod counts;
mod varint;
pub(crate) mod header;
pub mod record;
mod names;
pub(crate) mod files;
mod block;
mod segment;
mod scan;
mod segments;
mod gap;
pub mod entry;
mod journal;
pub mod sync;
pub mod quota;
pub mod window;
mod recovery;
mod limits;
mod home;
pub mod message;
mod ledger;
pub mod store;
