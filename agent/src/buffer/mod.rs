//! Buffer of a device: events are stored until the hub acknowledges them, in blocks, in segments, with a journal.

pub mod counts;
mod varint;
pub(crate) mod header;
pub mod record;
mod names;
pub(crate) mod files;
mod block;
mod encoder;
mod quota;
pub mod sync;
mod folder;
mod disk;
mod segment;
mod scan;
mod segments;
mod log;
pub mod memory_pool;
pub mod window;
mod gap;
pub mod reader;
pub mod message;
pub mod entry;
mod ledger;
mod journal;
mod recovery;
pub mod store;
