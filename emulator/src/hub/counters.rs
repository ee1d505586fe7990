//! Counters of a device. In memory.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

/// Counters of a device since the start of the emulator.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    takeovers: AtomicU64,
    refusals: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    last_message: AtomicI64,
}

impl Counters {
    /// Returns the number of accepted CONNECTs.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Returns the number of connections that ended because the same id connected again.
    pub fn takeovers(&self) -> u64 {
        self.takeovers.load(Ordering::Relaxed)
    }

    /// Returns the number of CONNECTs that were refused although the device is known.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Returns the number of stored telemetry messages.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Returns the total size of the bodies of stored telemetry messages, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the time of the last message.
    pub fn last_message(&self) -> Option<Timestamp> {
        match self.last_message.load(Ordering::Relaxed) {
            0 => None,
            micros => Timestamp::from_microsecond(micros).ok(),
        }
    }

    /// Counts an accepted CONNECT, and the connection that it took over.
    pub(super) fn connected(&self, takes_over: bool) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.takeovers.fetch_add(u64::from(takes_over), Ordering::Relaxed);
    }

    /// Counts a refused CONNECT.
    pub(super) fn refused(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a stored message.
    pub fn received(&self, bytes: usize, at: Timestamp) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_message.store(at.as_microsecond(), Ordering::Relaxed);
    }
}
