//! All faults, by name, and how often each occurred. In memory: a restart clears them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::fault::{Effect, Fault, FaultPeer};

/// All faults. While there is none, a decision costs one load.
#[derive(Debug, Default)]
pub struct Faults {
    exist: AtomicBool,
    by_name: RwLock<BTreeMap<String, Arc<NamedFault>>>,
}

/// A fault with its name and its occurrences.
#[derive(Debug)]
pub struct NamedFault {
    name: String,
    fault: Fault,
    occurred: AtomicU64,
    candidates: AtomicU64,
}

impl Faults {
    /// Adds a fault, or replaces the one of the same name; its count starts again.
    pub fn put(&self, name: &str, fault: Fault) -> Arc<NamedFault> {
        let (occurred, candidates) = (AtomicU64::default(), AtomicU64::default());
        let named = Arc::new(NamedFault { name: name.to_owned(), fault, occurred, candidates });
        let mut by_name = self.by_name.write();
        by_name.insert(name.to_owned(), named.clone());
        self.exist.store(true, Ordering::Release);
        named
    }

    /// Deletes a fault; `false` if there is none of this name.
    pub fn remove(&self, name: &str) -> bool {
        let mut by_name = self.by_name.write();
        let removed = by_name.remove(name).is_some();
        self.exist.store(!by_name.is_empty(), Ordering::Release);
        removed
    }

    /// Deletes all faults.
    pub fn clear(&self) {
        let mut by_name = self.by_name.write();
        by_name.clear();
        self.exist.store(false, Ordering::Release);
    }

    /// Returns the fault of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<NamedFault>> {
        self.by_name.read().get(name).cloned()
    }

    /// Returns all faults, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<NamedFault>> {
        self.by_name.read().values().cloned().collect()
    }

    /// Returns the first fault of a connection, by name, for which `decide` has a result and that still occurs, and
    /// counts the occurrence.
    pub(super) fn occurrence<T>(
        &self,
        peer: &FaultPeer<'_>,
        decide: impl Fn(&NamedFault) -> Option<T>,
    ) -> Option<(Arc<NamedFault>, T)> {
        if !self.exist.load(Ordering::Acquire) {
            return None;
        }
        let by_name = self.by_name.read();
        by_name.values().find_map(|named| {
            let selected = !named.is_used_up() && named.fault.selector.selects(peer);
            let result = selected.then(|| decide(named)).flatten()?;
            named.occur().then(|| (named.clone(), result))
        })
    }
}

impl NamedFault {
    /// Returns the name by which requests set, show and delete the fault.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the fault as it was set, without its occurrences.
    #[must_use]
    pub const fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Returns the effect on the connections that the fault selects.
    #[must_use]
    pub const fn effect(&self) -> &Effect {
        &self.fault.effect
    }

    /// Returns the number of times that the fault occurred.
    pub fn occurred(&self) -> u64 {
        self.occurred.load(Ordering::Relaxed)
    }

    /// Returns whether the fault has occurred as often as it was asked to.
    pub fn is_used_up(&self) -> bool {
        self.fault.count.is_some_and(|count| self.occurred() >= count.get())
    }

    /// Returns whether a moment that could have the fault is the last of `one_in` such moments.
    pub(super) fn is_last_of(&self, one_in: u64) -> bool {
        let before = self.candidates.fetch_add(1, Ordering::Relaxed);
        before % one_in == one_in - 1
    }

    fn occur(&self) -> bool {
        let limit = self.fault.count.map_or(u64::MAX, u64::from);
        let next = |occurred| (occurred < limit).then_some(occurred + 1);
        self.occurred.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}
