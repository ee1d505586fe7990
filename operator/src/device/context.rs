//! Shared resources of all reconciles of devices.

use std::sync::Arc;

use lanyard_crds::status::IoTDeviceStatus;

use crate::agents::poller::Agents;
use crate::backoff::Backoff;
use crate::credential::key_generator::KeyGenerator;
use crate::credential::rollover_queue::RolloverQueue;
use crate::device::apply::cache::Remembered;
use crate::device::plan::defaults::AgentDefaults;
use crate::kubernetes::key::Key;
use crate::kubernetes::written_status::WrittenStatuses;
use crate::metrics::Metrics;
use crate::permit::Rules;
use crate::reader::Reads;
use crate::snapshot::View;
use crate::status_writer::StatusWriter;

/// With what devices are looked at.
pub struct DeviceContext {
    /// The API server, for reads and writes of one object.
    pub client: kube::Client,
    /// Secrets and trusted CAs.
    pub reads: Arc<Reads>,
    /// The mirrors.
    pub view: Arc<View>,
    /// Reports of agents.
    pub agents: Agents,
    /// Cache of earlier writes.
    pub remembered: Arc<Remembered>,
    /// Generator of private keys.
    pub key_generator: Arc<KeyGenerator>,
    /// Queues of devices that move to another key or CA.
    pub turns: Arc<RolloverQueue>,
    /// Status and events.
    pub status_writer: StatusWriter,
    /// Settings for all agents.
    pub defaults: AgentDefaults,
    /// Rules of the administrator.
    pub rules: Arc<Rules>,
    /// Counters.
    pub metrics: Metrics,
    /// Failures in a row.
    pub backoff: Backoff<Key>,
    /// Statuses that the cache does not have yet.
    pub written_statuses: WrittenStatuses<IoTDeviceStatus>,
}
