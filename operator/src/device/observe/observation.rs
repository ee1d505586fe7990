//! Everything that the later stages of a reconcile need. Pure.

use std::sync::Arc;

use lanyard_crds::{IoTDevice, ProvisioningGroup};

use crate::agents::report::AgentSeen;
use crate::credential::stored::StoredCredentials;
use crate::identity::contest::Contest;
use crate::kubernetes::found::{CaFound, CaSecret, ClaimSeen};
use crate::kubernetes::secret::SecretData;

/// Input of the later stages.
#[derive(Debug, Clone, Default)]
pub struct DeviceObservation {
    /// The device.
    pub device: Arc<IoTDevice>,
    /// The group it refers to, if it is there.
    pub group: Option<Arc<ProvisioningGroup>>,
    /// The others that claim the same identity.
    pub contest: Contest,
    /// The Secret that the device's credential comes from; `None` if it is missing.
    pub key: Option<SecretData>,
    /// Content of the device's Secret; `None` if it does not exist.
    pub stored: Option<StoredCredentials>,
    /// True if that Secret has the current name. Otherwise an existing Secret of that name must not be overwritten.
    pub own_seen: bool,
    /// A group of the namespace that names the same Secret as its key or CA.
    pub key_of_group: Option<String>,
    /// The Secret that the trusted CA comes from.
    pub ca_secret: Option<CaSecret>,
    /// Claim of the buffer that the operator did not create.
    pub existing_claim: ClaimSeen,
    /// Result of looking up the trusted CA.
    pub trusted_ca: CaFound,
    /// The agent.
    pub agent: AgentSeen,
}
