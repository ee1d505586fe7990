//! One change, as it is asked for and remembered. Its body may hold keys and is never shown. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Object of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "of", rename_all_fields = "camelCase")]
pub enum Target {
    /// A device of a hub.
    Device {
        /// The hub's name.
        hub: String,
        /// The device.
        device_id: String,
    },
    /// An enrollment group.
    Group {
        /// The DPS instance, if it is named.
        id_scope: Option<String>,
        /// The group.
        enrollment_group_id: String,
    },
    /// An individual enrollment.
    Individual {
        /// The DPS instance, if it is named.
        id_scope: Option<String>,
        /// Registration id of the enrollment.
        registration_id: String,
    },
    /// A CA certificate.
    Certificate {
        /// Its name.
        name: String,
    },
}

/// Operation of a change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do", content = "with")]
pub enum Action {
    /// Creates the object, or replaces it by this JSON.
    Put(Zeroizing<String>),
    /// Deletes the object.
    Delete,
    /// A certificate gets this verification code.
    Code(String),
    /// A certificate is verified by the proof in this JSON.
    Verify(Zeroizing<String>),
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put(_) => "put",
            Self::Delete => "delete",
            Self::Code(_) => "generateVerificationCode",
            Self::Verify(_) => "verify",
        })
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Of what.
    #[serde(flatten)]
    pub target: Target,
    /// Operation of the change.
    #[serde(flatten)]
    pub action: Action,
}

/// Error of a change.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ChangeError {
    /// Ref §11: 404.
    #[error("{0}")]
    NotFound(String),
    /// Ref §11: 400.
    #[error("{0}")]
    Wrong(String),
}

/// Result of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Current state of the object.
    Shown(serde_json::Value),
    /// The object was deleted.
    Removed,
}
