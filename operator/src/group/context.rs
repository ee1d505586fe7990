//! Shared resources of all reconciles of groups.

use crate::backoff::Backoff;
use crate::device::apply::cache::Remembered;
use crate::group::lists::apply::Refusals;
use crate::group::lists::pace::Paces;
use crate::kubernetes::key::Key;
use crate::kubernetes::written_status::WrittenStatuses;
use crate::metrics::Metrics;
use crate::permit::Rules;
use crate::reader::Reads;
use crate::snapshot::View;
use crate::status_writer::StatusWriter;
use lanyard_crds::status::ProvisioningGroupStatus;
use std::collections::BTreeMap;
use std::sync::Arc;

/// With what groups are looked at.
pub struct GroupContext {
    /// The API server, for devices of lists.
    pub client: kube::Client,
    /// Cache of earlier writes.
    pub remembered: Arc<Remembered>,
    /// Devices that it has refused.
    pub refusals: Refusals,
    /// Lists that were written a short while ago.
    pub paces: Paces,
    /// Secrets and trusted CAs.
    pub reads: Arc<Reads>,
    /// The mirrors.
    pub view: Arc<View>,
    /// Status and events.
    pub status_writer: StatusWriter,
    /// Rules of the administrator.
    pub rules: Arc<Rules>,
    /// Counters.
    pub metrics: Metrics,
    /// Labels of every object that is made.
    pub common_labels: BTreeMap<String, String>,
    /// Failures in a row.
    pub backoff: Backoff<Key>,
    /// Statuses that the cache does not have yet.
    pub written_statuses: WrittenStatuses<ProvisioningGroupStatus>,
}
