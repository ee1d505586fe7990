//! Everything that the later stages of a reconcile need. Pure.

use std::sync::Arc;

use lanyard_crds::{IoTDevice, ProvisioningGroup};

use crate::agents::report::AgentSeen;
use crate::credential::stored::StoredCredentials;
use crate::identity::contest::Contest;
use crate::kubernetes::found::{CaFound, CaSecret, ClaimSeen};
use crate::kubernetes::secret::SecretData;

/// Everything that the later stages look at.
#[derive(Debug, Clone, Default)]
pub struct DeviceObservation {
    /// What the user asks for.
    pub device: Arc<IoTDevice>,
    /// The group it refers to, if it is there.
    pub group: Option<Arc<ProvisioningGroup>>,
    /// The others that claim the same identity.
    pub contest: Contest,
    /// The Secret that the device's credential comes from; `None` if it is missing.
    pub key: Option<SecretData>,
    /// What the device's own Secret holds; `None` if it is not there.
    pub held: Option<StoredCredentials>,
    /// Whether that is of the Secret of the name that the device has now. What is decided without is no reason to write over one.
    pub own_seen: bool,
    /// A group of the namespace that names the same Secret as its key or CA.
    pub key_of_group: Option<String>,
    /// The Secret that the trusted CA comes from.
    pub ca_secret: Option<CaSecret>,
    /// The claim of the buffer that somebody else made.
    pub existing_claim: ClaimSeen,
    /// What the reference to a trusted CA leads to.
    pub trusted_ca: CaFound,
    /// The agent.
    pub agent: AgentSeen,
}
