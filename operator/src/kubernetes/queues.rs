//! Queues of objects to reconcile, and the debouncer for changes that come in crowds.

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
    /// Groups that must count again, and devices whose agent moves: such changes come in crowds, and [`gather`] makes one
    /// of many.
    pub crowd: UnboundedSender<Crowd>,
}

/// One of many changes within a moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Crowd {
    /// A device's pod or `StatefulSet` changed.
    Device(Key),
    /// A device of the group changed.
    Group(Key),
}

/// Time for which such a change is collected with others.
const GATHER: Duration = Duration::from_millis(500);

/// Passes each of a crowd on once.
pub async fn gather(mut crowd: UnboundedReceiver<Crowd>, queues: Queues) {
    while let Some(first) = crowd.next().await {
        tokio::time::sleep(GATHER).await;
        let mut gathered = HashSet::from([first]);
        while let Ok(next) = crowd.try_recv() {
            gathered.insert(next);
        }
        for one in gathered {
            match one {
                Crowd::Device(key) => queues.device(&key),
                Crowd::Group(key) => queues.group(&key),
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

    /// Queues a device or group for a reconcile; its changes within a moment are passed on as one.
    pub fn soon(&self, one: Crowd) {
        let _ = self.crowd.unbounded_send(one);
    }

    pub(crate) fn devices(&self, devices: &[Arc<IoTDevice>]) {
        devices.iter().for_each(|device| self.device(&Key::of(&**device)));
    }
}
