//! What somebody has to change before an object can work: a stable reason, and words that say what to do. Pure.

/// Why, in one word that conditions, events and metrics share and that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// spec.blocked is set.
    Blocked,
    /// An older object has the same identity.
    DuplicateDeviceId,
    /// There is no such ProvisioningGroup.
    GroupNotFound,
    /// There is no such Secret.
    SecretNotFound,
    /// The Secret lacks a key.
    SecretKeyMissing,
    /// The key in the Secret is not base64, or too short or too long for Azure.
    KeyNotBase64,
    /// The text in the Secret is no device's connection string.
    InvalidConnectionString,
    /// The connection string is another hub's or another device's.
    ConnectionStringMismatch,
    /// The Secret or ConfigMap of a trusted CA, or the key in it, is missing.
    TrustedCANotFound,
    /// A trusted CA is no PEM certificate.
    TrustedCAInvalid,
    /// The object, or what it inherits, cannot be made into a configuration.
    InvalidSpec,
    /// An object of the name that the operator needs belongs to somebody else.
    Conflict,
    /// The API server refuses what the operator would write.
    Refused,
}

impl Reason {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "Blocked",
            Self::DuplicateDeviceId => "DuplicateDeviceId",
            Self::GroupNotFound => "GroupNotFound",
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretKeyMissing => "SecretKeyMissing",
            Self::KeyNotBase64 => "KeyNotBase64",
            Self::InvalidConnectionString => "InvalidConnectionString",
            Self::ConnectionStringMismatch => "ConnectionStringMismatch",
            Self::TrustedCANotFound => "TrustedCANotFound",
            Self::TrustedCAInvalid => "TrustedCAInvalid",
            Self::InvalidSpec => "InvalidSpec",
            Self::Conflict => "Conflict",
            Self::Refused => "Refused",
        }
    }

    /// Whether the device must leave the hub: its agent and its credentials are taken away.
    #[must_use]
    pub const fn withdraws(self) -> bool {
        matches!(self, Self::Blocked | Self::DuplicateDeviceId)
    }
}

/// What somebody has to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub struct Fault {
    /// In one word.
    pub reason: Reason,
    /// The thing, the cause and the fix.
    pub message: String,
}

impl Fault {
    /// A fault.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
