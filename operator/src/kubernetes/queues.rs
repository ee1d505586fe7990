//! Queues of objects to reconcile, and the debouncer for changes that come in large numbers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender};
use kube::runtime::reflector::ObjectRef;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use super::key::{Key, to_ref};

/// The queues of both kinds.
#[derive(Clone)]
pub struct Queues {
    /// Devices to reconcile.
    pub devices: UnboundedSender<ObjectRef<IoTDevice>>,
    /// Groups to reconcile.
    pub groups: UnboundedSender<ObjectRef<ProvisioningGroup>>,
    /// Groups that must count again, and devices whose agent moves: such changes come in large numbers, and
    /// [`debounce`] makes one of many.
    pub debounced: UnboundedSender<Debounced>,
}

/// One of many changes within a short time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Debounced {
    /// A device's pod or `StatefulSet` changed.
    Device(Key),
    /// A device of the group changed.
    Group(Key),
}

/// Time for which such a change is collected with others.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// Queues each changed object once for all its changes within [`DEBOUNCE`].
pub async fn debounce(mut debounced: UnboundedReceiver<Debounced>, queues: Queues) {
    while let Some(first) = debounced.next().await {
        tokio::time::sleep(DEBOUNCE).await;
        let mut gathered = HashSet::from([first]);
        while let Ok(next) = debounced.try_recv() {
            gathered.insert(next);
        }
        for one in gathered {
            match one {
                Debounced::Device(key) => queues.device(&key),
                Debounced::Group(key) => queues.group(&key),
            }
        }
    }
}

impl Queues {
    /// Queues a device for a reconcile. A closed queue means that the operator ends.
    pub fn device(&self, key: &Key) {
        let _ = self.devices.unbounded_send(to_ref(key));
    }

    /// Queues a group for a reconcile.
    pub fn group(&self, key: &Key) {
        let _ = self.groups.unbounded_send(to_ref(key));
    }

    /// Queues a device or group for a reconcile; its changes within a short time count as one.
    pub fn soon(&self, one: Debounced) {
        let _ = self.debounced.unbounded_send(one);
    }

    pub(crate) fn devices(&self, devices: &[Arc<IoTDevice>]) {
        devices.iter().for_each(|device| self.device(&Key::of(&**device)));
    }
}
