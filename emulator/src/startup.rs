//! From the checked configuration to the cloud it describes. In memory.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::checked;
use crate::config::checked::Checked;
use crate::controls::apply;
use crate::controls::change::{Change, Target};
use crate::dps::assignment::Assignment;
use crate::dps::service::{Defaults, Dps, Pace};
use crate::events::store::EventStore;
use crate::faults::store::Faults;
use crate::hub::hubs::{Hub, Hubs};
use crate::journal::{Journal, JournalError};
use crate::state::{EmulatorState, Totals};
use crate::x509::authorities::Authorities;

/// Persistent state: its files, and their content.
#[derive(Debug)]
pub struct Persistent {
    /// Assignments of DPS.
    pub registrations: (Journal<Assignment>, Vec<Assignment>),
    /// Changes made through the controls.
    pub changes: (Journal<Change>, Vec<Change>),
}

impl Persistent {
    /// Reads the journals of the data directory.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(data_dir: &Path) -> Result<Self, JournalError> {
        Ok(Self {
            registrations: Journal::open(data_dir.join("registrations.jsonl"))?,
            changes: Journal::open(data_dir.join("changes.jsonl"))?,
        })
    }
}

/// Builds hubs and DPS instances, and restores persistent state. Devices dial `port`, unless the configuration says another.
pub fn build(
    config: Checked,
    port: u16,
    clock: Arc<dyn Clock>,
    persistent: Option<Persistent>,
) -> EmulatorState {
    let port = config.hub_port.unwrap_or(port);
    let hubs: Vec<_> = config.hubs.iter().map(|hub| Arc::new(Hub::new(&hub.host, port))).collect();
    for (hub, configured) in hubs.iter().zip(&config.hubs) {
        for device in &configured.devices {
            hub.put(device.clone());
        }
    }
    let authorities = Authorities::default();
    for (name, certificate, verified) in config.certificates {
        if let Err(error) = authorities.put(&name, certificate, verified, clock.now()) {
            tracing::warn!(%error, name, "skipping a CA certificate of the configuration");
        }
    }
    let (registrations, changes) =
        persistent.map(|persistent| (persistent.registrations, persistent.changes)).unzip();
    let (journal, remembered) = registrations.unzip();
    let (journal, (changes, made)) = (journal.map(Arc::new), changes.unzip());
    let instances = config.dps.into_iter().map(|dps| instance(dps, &hubs, config.pace, journal.clone()));
    let dps: Vec<_> = instances.collect();
    let state = EmulatorState {
        hubs: Hubs::new(hubs),
        authorities,
        dps,
        events: EventStore::new(config.limits),
        tokens: config.tokens,
        refuse_certificates_at_connect: config.refuse_certificates_at_connect,
        faults: Faults::default(),
        changes,
        clock,
        totals: Totals::default(),
    };
    restore(&state, made.unwrap_or_default(), remembered.unwrap_or_default());
    state
}

/// Restores changes and assignments in three steps: assignments depend on enrollments and certificates, and what was
/// changed of a device may be of one that was assigned.
fn restore(state: &EmulatorState, changes: Vec<Change>, assignments: Vec<Assignment>) {
    if !changes.is_empty() {
        let count = changes.len();
        tracing::info!(count, "restoring earlier changes; delete changes.jsonl to discard them");
    }
    let (of_devices, others): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|change| matches!(change.target, Target::Device { .. }));
    apply_all(state, &others);
    for assignment in assignments {
        if let Some(instance) = state.dps(&assignment.id_scope) {
            instance.restore(assignment);
        }
    }
    apply_all(state, &of_devices);
}

fn apply_all(state: &EmulatorState, changes: &[Change]) {
    for change in changes {
        if let Err(error) = apply::apply(state, change, state.clock.now()) {
            tracing::warn!(target = ?change.target, %error, "an earlier change does not fit the configuration any more; skipping it");
        }
    }
}

fn instance(
    config: checked::DpsConfig,
    hubs: &[Arc<Hub>],
    pace: Pace,
    journal: Option<Arc<Journal<Assignment>>>,
) -> Arc<Dps> {
    let defaults = Defaults { hubs: config.hubs, allocation: config.allocation };
    let dps = Dps::new(config.id_scope, defaults, hubs.to_vec(), pace, journal);
    let mut enrollments = dps.change_enrollments();
    for group in config.groups {
        enrollments.put_group(group);
    }
    for (registration_id, individual) in config.individuals {
        enrollments.put_individual(&registration_id, individual);
    }
    drop(enrollments);
    Arc::new(dps)
}
