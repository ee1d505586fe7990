//! Errors that a user must fix: a stable reason, and a message with the fix. Pure.

/// Reason of an error: one stable name for conditions, events and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// spec.blocked is set.
    Blocked,
    /// The group's approval is Manual and spec.approved is not set.
    WaitingForApproval,
    /// Another object has the same identity.
    DuplicateDeviceId,
    /// The ProvisioningGroup does not exist.
    GroupNotFound,
    /// The Secret does not exist.
    SecretNotFound,
    /// The Secret lacks a key.
    SecretKeyMissing,
    /// The Secret serves another purpose.
    SecretUseMismatch,
    /// The Secret does not say that it serves this purpose.
    SecretUseMissing,
    /// The Secret does not let its key go where the object says.
    DestinationNotAllowed,
    /// The operator sends no tokens to this DPS endpoint.
    EndpointNotAllowed,
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
    /// The text in a CA's Secret is no certificate.
    IssuerInvalid,
    /// The text in a CA's Secret is no private key that can be used.
    IssuerKeyInvalid,
    /// The private key in a CA's Secret is not its certificate's.
    IssuerKeyMismatch,
    /// The certificate in a CA's Secret, or one above it, is no CA's.
    IssuerNotCA,
    /// The CA's certificate does not allow it to sign certificates.
    IssuerMayNotSign,
    /// The certificates in a CA's Secret did not sign each other.
    IssuerChainBroken,
    /// A CA above allows fewer CAs below it than there are.
    IssuerPathTooLong,
    /// The CA's certificate, or one above it, has expired.
    IssuerExpired,
    /// The CA's certificate, or one above it, is not valid yet.
    IssuerNotYetValid,
    /// The text in a device's Secret is no certificate.
    CertificateInvalid,
    /// The text in a device's Secret is no private key that can be used.
    CertificateKeyInvalid,
    /// The private key in a device's Secret is not its certificate's.
    CertificateKeyMismatch,
    /// The certificate is for another common name.
    CertificateNameMismatch,
    /// The certificate may not be shown by a client.
    CertificateUsage,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate is not valid yet.
    CertificateNotYetValid,
    /// No certificate could be made.
    SigningFailed,
    /// The object, or what it inherits, cannot be made into a configuration.
    InvalidSpec,
    /// An object with the required name has another owner.
    Conflict,
    /// The claim of a device's buffer has another class or access mode than is asked for.
    ClaimImmutable,
    /// The claim that a device names does not say that it is for buffers, or is missing.
    ClaimNotShared,
    /// The ConfigMap with a list of devices, or the key in it, is missing.
    ImportNotFound,
    /// The text in it is no list of devices.
    ImportInvalid,
    /// The list of devices with their credentials is larger than a Secret can be.
    ExportTooLarge,
    /// The API server refuses what the operator would write.
    Refused,
}

impl Reason {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "Blocked",
            Self::WaitingForApproval => "WaitingForApproval",
            Self::DuplicateDeviceId => "DuplicateDeviceId",
            Self::GroupNotFound => "GroupNotFound",
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretKeyMissing => "SecretKeyMissing",
            Self::SecretUseMismatch => "SecretUseMismatch",
            Self::SecretUseMissing => "SecretUseMissing",
            Self::DestinationNotAllowed => "DestinationNotAllowed",
            Self::EndpointNotAllowed => "EndpointNotAllowed",
            Self::KeyNotBase64 => "KeyNotBase64",
            Self::InvalidConnectionString => "InvalidConnectionString",
            Self::ConnectionStringMismatch => "ConnectionStringMismatch",
            Self::TrustedCANotFound => "TrustedCANotFound",
            Self::TrustedCAInvalid => "TrustedCAInvalid",
            Self::IssuerInvalid => "IssuerInvalid",
            Self::IssuerKeyInvalid => "IssuerKeyInvalid",
            Self::IssuerKeyMismatch => "IssuerKeyMismatch",
            Self::IssuerNotCA => "IssuerNotCA",
            Self::IssuerMayNotSign => "IssuerMayNotSign",
            Self::IssuerChainBroken => "IssuerChainBroken",
            Self::IssuerPathTooLong => "IssuerPathTooLong",
            Self::IssuerExpired => "IssuerExpired",
            Self::IssuerNotYetValid => "IssuerNotYetValid",
            Self::CertificateInvalid => "CertificateInvalid",
            Self::CertificateKeyInvalid => "CertificateKeyInvalid",
            Self::CertificateKeyMismatch => "CertificateKeyMismatch",
            Self::CertificateNameMismatch => "CertificateNameMismatch",
            Self::CertificateUsage => "CertificateUsage",
            Self::CertificateExpired => "CertificateExpired",
            Self::CertificateNotYetValid => "CertificateNotYetValid",
            Self::SigningFailed => "SigningFailed",
            Self::InvalidSpec => "InvalidSpec",
            Self::Conflict => "Conflict",
            Self::ClaimImmutable => "ClaimImmutable",
            Self::ClaimNotShared => "ClaimNotShared",
            Self::ImportNotFound => "ImportNotFound",
            Self::ImportInvalid => "ImportInvalid",
            Self::ExportTooLarge => "ExportTooLarge",
            Self::Refused => "Refused",
        }
    }

    /// Returns whether the device must leave the hub: its agent is removed.
    #[must_use]
    pub const fn withdraws(self) -> bool {
        matches!(self, Self::Blocked | Self::WaitingForApproval | Self::DuplicateDeviceId)
    }

    /// Returns whether the device's credentials Secret is removed too. A device that lost its identity to another
    /// object keeps it: only its agent must end, and a certificate could not be made again.
    #[must_use]
    pub const fn takes_credentials(self) -> bool {
        matches!(self, Self::Blocked | Self::WaitingForApproval)
    }

    /// Returns whether the reason is a normal step, not an error.
    #[must_use]
    pub const fn is_a_step(self) -> bool {
        matches!(self, Self::WaitingForApproval)
    }
}

/// Error that a user must fix.
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

pub(crate) fn invalid(field: &str, error: impl std::fmt::Display) -> Fault {
    Fault::new(Reason::InvalidSpec, format!("{field}: {error}"))
}
