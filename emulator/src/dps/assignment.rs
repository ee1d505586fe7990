//! Assignments of devices to hubs, kept over a restart: devices in the field keep theirs too, and reconnect without
//! asking. The last assignment of a registration counts. It contains no keys.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The DPS instance.
    pub id_scope: String,
    /// As the device wrote it.
    pub registration_id: String,
    /// The group, unless it is enrolled by itself.
    pub group: Option<String>,
    /// The hub's name.
    pub hub: String,
    /// The id there.
    pub device_id: String,
    /// Reason of the assignment (ref §8.2).
    pub substatus: String,
    /// Of the certificate it registered with (SHA-256), if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
    /// First registration.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}
