//! From the checked configuration to the cloud it describes. In memory.

use std::sync::Arc;

use super::checked::{Checked, Terms};
use crate::clock::Clock;
use crate::cloud::{Cloud, Totals};
use crate::dps::enrollment::{self, Enrollments, Group, Individual};
use crate::dps::journal::{Assignment, Journal};
use crate::dps::service::Dps;
use crate::events::store::EventStore;
use crate::hub::registry::{Hub, Hubs};

/// Builds hubs and DPS instances; devices dial `port`, unless the configuration says another. What the journal remembers is taken up again.
pub fn build(
    config: Checked,
    port: u16,
    clock: Arc<dyn Clock>,
    journal: Option<(Journal, Vec<Assignment>)>,
) -> Cloud {
    let port = config.hub_port.unwrap_or(port);
    let hubs: Vec<_> = config.hubs.iter().map(|hub| Arc::new(Hub::new(&hub.host, port))).collect();
    for (hub, configured) in hubs.iter().zip(&config.hubs) {
        for device in &configured.devices {
            hub.put(&device.id, device.keys.clone(), device.enabled);
        }
    }
    let (journal, remembered) = journal.unzip();
    let journal = journal.map(Arc::new);
    let instances = config.dps.into_iter().map(|dps| {
        let groups =
            dps.groups.into_iter().map(|(id, terms)| Group { id: id.into(), terms: with_hubs(terms, &hubs) });
        let mut enrollments = Enrollments::new(groups.collect());
        for (registration_id, device_id, terms) in dps.individuals {
            enrollments.add(&registration_id, Individual { device_id, terms: with_hubs(terms, &hubs) });
        }
        Arc::new(Dps::new(dps.id_scope, enrollments, hubs.clone(), config.pace, journal.clone()))
    });
    let dps: Vec<_> = instances.collect();
    for assignment in remembered.into_iter().flatten() {
        if let Some(instance) = dps.iter().find(|instance| instance.id_scope == assignment.id_scope) {
            instance.remember(assignment);
        }
    }
    Cloud {
        hubs: Hubs::new(hubs),
        dps,
        events: EventStore::new(config.limits),
        tokens: config.tokens,
        clock,
        totals: Totals::default(),
    }
}

fn with_hubs(terms: Terms, hubs: &[Arc<Hub>]) -> enrollment::Terms {
    enrollment::Terms {
        keys: terms.keys,
        enabled: terms.enabled,
        allocation: terms.allocation,
        hubs: terms.hubs.iter().filter_map(|&at| hubs.get(at).cloned()).collect(),
        reprovisioning: terms.reprovisioning,
    }
}
