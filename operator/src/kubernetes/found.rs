//! Results of looking up references. Pure.

use super::secret::SecretData;

/// What a reference to a trusted CA leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CaFound {
    /// There is no reference.
    #[default]
    NotAsked,
    /// There is no such Secret or ConfigMap.
    NoObject {
        /// Such as `ConfigMap plant-ca`.
        object: String,
    },
    /// It lacks the key.
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
        /// What stands there.
        bytes: Vec<u8>,
    },
}

/// What the reference to a list of devices leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListFound {
    /// There is no reference.
    #[default]
    NotAsked,
    /// There is no such ConfigMap.
    NoObject,
    /// It lacks the key, and has these.
    NoKey(Vec<String>),
    /// What stands there is not UTF-8.
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

/// The claim that a device names and somebody else made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClaimSeen {
    /// The device names none.
    #[default]
    NotAsked,
    /// There is no such claim.
    Missing,
    /// Its owner does not give it to buffers.
    Unlabelled,
    /// Its owner gives it to buffers.
    Shared,
}
