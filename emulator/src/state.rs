//! Everything that stands in for Azure: hubs, DPS instances and the messages that arrived. In memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::controls::change::Change;
use crate::dps::service::Dps;
use crate::events::store::EventStore;
use crate::faults::store::Faults;
use crate::hub::hubs::Hubs;
use crate::hub::token::TokenRules;
use crate::journal::Journal;
use crate::x509::authorities::Authorities;

/// Counters of connections that belong to no device.
#[derive(Debug, Default)]
pub struct Totals {
    tls_failures: AtomicU64,
    refused: AtomicU64,
    dps_answers: AtomicU64,
}

impl Totals {
    /// Counts a connection without a TLS handshake.
    pub fn tls_failed(&self) {
        self.tls_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refused CONNECT.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer of DPS.
    pub fn dps_answered(&self) {
        self.dps_answers.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the numbers of failed handshakes, refused CONNECTs and answers of DPS.
    #[must_use]
    pub fn read(&self) -> [u64; 3] {
        [&self.tls_failures, &self.refused, &self.dps_answers].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// The whole of it, shared by all connections.
#[derive(Debug)]
pub struct EmulatorState {
    /// All hubs.
    pub hubs: Hubs,
    /// The CA certificates that all of them know.
    pub authorities: Authorities,
    /// All DPS instances.
    pub dps: Vec<Arc<Dps>>,
    /// Received messages.
    pub events: EventStore,
    /// For hub and DPS alike.
    pub tokens: TokenRules,
    /// Refuses a certificate without an enrollment at CONNECT, instead of at the registration (ref §8.1).
    pub refuse_certificates_at_connect: bool,
    /// Faults on purpose.
    pub faults: Faults,
    /// Log of changes.
    pub changes: Option<Journal<Change>>,
    /// Current time.
    pub clock: Arc<dyn Clock>,
    /// Counters of connections.
    pub totals: Totals,
}

impl EmulatorState {
    /// Returns the DPS instance with exactly this id scope (ref §3.3).
    #[must_use]
    pub fn dps(&self, id_scope: &str) -> Option<&Arc<Dps>> {
        self.dps.iter().find(|dps| dps.id_scope == id_scope)
    }
}
