//! Limits of a buffer whose disk does not accept writes. Pure.

use std::time::Duration;

/// Bytes that are kept in memory while the disk does not accept writes.
pub(super) const IN_MEMORY: u64 = 8 << 20;

/// Time between two attempts to write to such a disk.
pub(super) const RETRY: Duration = Duration::from_secs(5);
