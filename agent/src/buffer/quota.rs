//! Quota of a buffer: bytes that it may take, on disk and in memory. Pure.

use std::ops::RangeInclusive;

use lanyard_handoff::buffer::{self as config, WhenFull};

/// Bytes that are kept in memory while the disk does not accept writes.
pub(super) const IN_MEMORY: u64 = 8 << 20;
/// Number of segments of a full buffer. The policy DropOldest drops one segment, a small part of the buffer.
const SEGMENTS: u64 = 16;
/// Sizes of a segment: smaller ones would be thousands of tiny files, and the recovery of a larger one would take a second.
const SEGMENT_SIZES: RangeInclusive<u64> = 4 * 1024..=8 * 1024 * 1024;

/// Limits of a buffer, and the policy at the limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    capacity: u64,
    when_full: WhenFull,
}

/// Bytes that a buffer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// All of them.
    pub(super) bytes: u64,
    /// Part that is in memory because the disk does not accept writes.
    pub(super) in_memory: u64,
}

impl Quota {
    pub(super) fn new(settings: &config::Buffer) -> Self {
        Self { capacity: settings.capacity.get(), when_full: settings.when_full }
    }

    /// Returns the maximum number of bytes.
    pub(super) const fn capacity(self) -> u64 {
        self.capacity
    }

    pub(super) const fn when_full(self) -> WhenFull {
        self.when_full
    }

    /// Returns the size at which the next segment begins.
    pub(super) fn segment_size(self, in_memory: bool) -> u64 {
        let capacity = if in_memory { self.capacity.min(IN_MEMORY) } else { self.capacity };
        (capacity / SEGMENTS).clamp(*SEGMENT_SIZES.start(), *SEGMENT_SIZES.end())
    }

    /// Returns whether this many bytes more are within the limits.
    pub(super) fn fits(self, usage: Usage, more: u64) -> bool {
        let fits_memory = usage.in_memory == 0 || usage.in_memory + more <= IN_MEMORY;
        usage.bytes + more <= self.capacity && fits_memory
    }
}

#[cfg(test)]
mod tests {
    use lanyard_handoff::size::ByteSize;

    use super::*;

    fn quota(capacity: u64) -> Quota {
        Quota::new(&config::Buffer { capacity: ByteSize::new(capacity), ..config::Buffer::default() })
    }

    #[test]
    fn full_buffer_has_sixteen_segments_within_limits() {
        assert_eq!(quota(64 << 20).segment_size(false), 4 << 20);
        assert_eq!(quota(64 << 20).segment_size(true), 512 << 10, "a sixteenth of the memory");
        assert_eq!(quota(1 << 20).segment_size(true), 64 << 10, "a sixteenth of the smaller capacity");
        assert_eq!(quota(10 << 10).segment_size(false), 4 << 10);
        assert_eq!(quota(1 << 40).segment_size(false), 8 << 20);
    }

    #[test]
    fn capacity_and_memory_are_limits_of_their_own() {
        let usage = |bytes, in_memory| Usage { bytes, in_memory };
        let quota = quota(100 << 20);
        assert_eq!(quota.capacity(), 100 << 20);
        assert!(quota.fits(usage(99 << 20, 0), 1 << 20));
        assert!(!quota.fits(usage(99 << 20, 0), (1 << 20) + 1));
        assert!(quota.fits(usage(IN_MEMORY, 1), IN_MEMORY - 1));
        assert!(!quota.fits(usage(IN_MEMORY, 1), IN_MEMORY));
        assert!(quota.fits(usage(IN_MEMORY, 0), IN_MEMORY + 1), "nothing is in memory yet");
    }
}
