//! Results of looking up references. Pure.

use super::secret::SecretData;

/// Result of looking up a trusted CA.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CaFound {
    /// The object has no reference.
    #[default]
    NotAsked,
    /// The Secret or ConfigMap does not exist.
    NoObject {
        /// Such as `ConfigMap plant-ca`.
        object: String,
    },
    /// The object lacks the key.
    NoKey {
        /// Such as `ConfigMap plant-ca`.
        object: String,
        /// The key.
        key: String,
    },
    /// Here it is; certificates are no secret.
    Text {
        /// Such as `ConfigMap plant-ca`.
        object: String,
        /// Content of the key.
        bytes: Vec<u8>,
    },
}

/// Result of looking up a list of devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListFound {
    /// The object has no reference.
    #[default]
    NotAsked,
    /// The ConfigMap does not exist.
    NoObject,
    /// The ConfigMap lacks the key; these are its keys.
    NoKey(Vec<String>),
    /// The content is not UTF-8.
    NoText,
    /// Here it is.
    Text(String),
}

/// The Secret of a trusted CA.
#[derive(Debug, Clone)]
pub struct CaSecret {
    /// Its name.
    pub name: String,
    /// Its marks, without its data.
    pub marks: SecretData,
}

/// Claim that a device names and the operator did not create.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClaimSeen {
    /// The device names none.
    #[default]
    NotAsked,
    /// The claim does not exist.
    Missing,
    /// Its owner does not give it to buffers.
    Unlabelled,
    /// Its owner gives it to buffers.
    Shared,
}
