//! Reasons of conditions, events and metrics: the only place that defines them. Pure.
//!
//! A reason is a stable CamelCase name; docs/identities.md or docs/runbook.md describes each of them, which a test checks.

use lanyard_handoff::status::ConnectionReason;

/// Effect of a reason on the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Everything is in order.
    Normal,
    /// The operator or the agent is still working.
    Progress,
    /// A user must act, or the fault persists.
    Error,
}

/// Defines the reasons of the operator: name and severity.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $severity:ident,)*) => {
        /// Reason of a condition, an event or a metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
            /// State of the connection, as the agent reports it.
            Connection(ConnectionReason),
        }

        impl Reason {
            /// All reasons of the operator.
            const OWN: &[Self] = &[$(Self::$name,)*];

            /// Returns the name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Connection(reason) => reason.as_str(),
                }
            }

            /// Returns the effect on the user.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                    Self::Connection(ConnectionReason::Connected) => Severity::Normal,
                    Self::Connection(
                        ConnectionReason::Connecting
                        | ConnectionReason::Registering
                        | ConnectionReason::Renewing
                        | ConnectionReason::ShuttingDown,
                    ) => Severity::Progress,
                    Self::Connection(_) => Severity::Error,
                }
            }
        }
    };
}

reasons! {
    /// spec.blocked is set.
    Blocked: Error,
    /// The group's approval is Manual and spec.approved is not set.
    WaitingForApproval: Progress,
    /// Another object has the same identity.
    DuplicateDeviceId: Error,
    /// The ProvisioningGroup does not exist.
    GroupNotFound: Error,
    /// The Secret does not exist.
    SecretNotFound: Error,
    /// The Secret lacks a key.
    SecretKeyMissing: Error,
    /// The Secret has another use.
    SecretUseMismatch: Error,
    /// The Secret does not declare this use.
    SecretUseMissing: Error,
    /// The Secret does not allow the destination that the object names.
    DestinationNotAllowed: Error,
    /// The administrator does not allow this DPS endpoint.
    EndpointNotAllowed: Error,
    /// The key in the Secret is not base64, or too short or too long for Azure.
    KeyNotBase64: Error,
    /// The text in the Secret is not a device's connection string.
    InvalidConnectionString: Error,
    /// The connection string is for another hub or device.
    ConnectionStringMismatch: Error,
    /// The Secret or ConfigMap of a trusted CA, or the key in it, does not exist.
    TrustedCANotFound: Error,
    /// A trusted CA is not a PEM certificate.
    TrustedCAInvalid: Error,
    /// The text in a CA's Secret is not a certificate.
    IssuerInvalid: Error,
    /// The text in a CA's Secret is not a usable private key.
    IssuerKeyInvalid: Error,
    /// The private key in a CA's Secret does not belong to its certificate.
    IssuerKeyMismatch: Error,
    /// The certificate in a CA's Secret, or one above it, is not a CA's.
    IssuerNotCA: Error,
    /// The CA's certificate does not allow it to sign certificates.
    IssuerMayNotSign: Error,
    /// The certificates in a CA's Secret did not sign each other.
    IssuerChainBroken: Error,
    /// A CA above allows fewer CAs below it than there are.
    IssuerPathTooLong: Error,
    /// The CA's certificate, or one above it, has expired.
    IssuerExpired: Error,
    /// The CA's certificate, or one above it, is not valid yet.
    IssuerNotYetValid: Error,
    /// The text in a device's Secret is not a certificate.
    CertificateInvalid: Error,
    /// The text in a device's Secret is not a usable private key.
    CertificateKeyInvalid: Error,
    /// The private key in a device's Secret does not belong to its certificate.
    CertificateKeyMismatch: Error,
    /// The certificate is for another common name.
    CertificateNameMismatch: Error,
    /// The certificate does not allow client authentication.
    CertificateUsage: Error,
    /// The certificate has expired.
    CertificateExpired: Error,
    /// The certificate is not valid yet.
    CertificateNotYetValid: Error,
    /// The operator could not issue a certificate.
    SigningFailed: Error,
    /// The object, or an inherited field, is invalid.
    InvalidSpec: Error,
    /// An object with the required name has another owner.
    Conflict: Error,
    /// The claim of a device's buffer has another class or access mode than requested.
    ClaimImmutable: Error,
    /// The claim that a device names is not shared with buffers, or does not exist.
    ClaimNotShared: Error,
    /// The ConfigMap with a list of devices, or the key in it, does not exist.
    ImportNotFound: Error,
    /// The text of the ConfigMap is not a list of devices.
    ImportInvalid: Error,
    /// The list of devices with their credentials is larger than a Secret can be.
    ExportTooLarge: Error,
    /// The API server refuses an object of the operator.
    Refused: Error,
    /// The group's key is usable.
    KeyUsable: Normal,
    /// The group's CA is usable.
    IssuerUsable: Normal,
    /// Some rows of a list are invalid.
    RowsRejected: Error,
    /// Too many devices have lost their row at once.
    RemovalRefused: Error,
    /// Rows of a list do not have their device yet.
    Importing: Progress,
    /// All rows of a list have their device.
    Imported: Normal,
    /// The exported list is current.
    Exported: Normal,
    /// An earlier object must end first.
    Waiting: Progress,
    /// Another program repeatedly changes an object of the operator.
    Contested: Error,
    /// The operator generates a private key.
    KeyBeingMade: Progress,
    /// A rollover is paused after refusals.
    RolloverPaused: Error,
    /// The device waits for its turn in a rollover.
    RolloverPending: Progress,
    /// The hub or DPS refused the new credential; the previous one is in use.
    CredentialRefused: Error,
    /// The credentials Secret is as planned.
    Issued: Normal,
    /// The certificate has expired.
    Expired: Error,
    /// The certificate expires soon, and no renewal is scheduled.
    Expiring: Error,
    /// The certificate is valid.
    Valid: Normal,
    /// Event: an older installation works on the same namespaces, and this one waits.
    OverlappingInstallation: Error,
    /// Event: a certificate expires soon, and no renewal is scheduled.
    CredentialsExpiring: Error,
    /// Event: a certificate has expired.
    CredentialsExpired: Error,
    /// The operator created a credentials Secret.
    CredentialsIssued: Normal,
    /// The operator wrote a new credential.
    CredentialsRenewed: Normal,
    /// The operator updated a credentials Secret.
    CredentialsUpdated: Normal,
    /// The agent's pod starts.
    AgentStarting: Progress,
    /// The agent's pod ends.
    AgentEnding: Progress,
    /// There is no agent pod.
    AgentNotRunning: Progress,
    /// The agent does not answer.
    AgentUnreachable: Progress,
    /// No node can run the agent's pod.
    AgentUnschedulable: Error,
    /// The agent's image cannot be pulled.
    AgentImageUnavailable: Error,
    /// The agent's pod restarts repeatedly.
    AgentCrashing: Error,
    /// Kubernetes refuses to create the agent's pod.
    AgentPodRefused: Error,
    /// The agent's pod does not end.
    AgentPodStuck: Error,
    /// The agent runs.
    Running: Normal,
    /// No agent is requested.
    NoAgent: Normal,
    /// The operator created an agent.
    AgentDeployed: Normal,
    /// The operator updated an agent.
    AgentUpdated: Normal,
    /// The agent's answer contradicts its configuration.
    AnswerIgnored: Error,
    /// The agent cannot use its configuration.
    ConfigurationRejected: Error,
    /// The agent cannot read some tags.
    TagsRejected: Error,
    /// Nothing is in progress or stalled.
    UpToDate: Normal,
    /// The operator or the agent is still working.
    Progressing: Progress,
    /// A user must change something.
    Stalled: Error,
    /// The API server reports a conflict.
    ApiConflict: Progress,
    /// The operator lacks a permission, or a policy refuses.
    ApiForbidden: Error,
    /// The API server throttles the operator.
    ApiBusy: Progress,
    /// The API server answers with an error.
    ApiError: Error,
    /// The API server does not answer.
    ApiUnreachable: Error,
}

impl Reason {
    /// Returns all reasons, including those of agents.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OWN.iter().copied().chain(ConnectionReason::ALL.into_iter().map(Self::Connection))
    }

    /// Returns the reason with a name, as a status contains it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|reason| reason.as_str() == name)
    }

    /// Reasons of errors of the API server.
    pub const API: [Self; 5] =
        [Self::ApiConflict, Self::ApiForbidden, Self::ApiBusy, Self::ApiError, Self::ApiUnreachable];

    /// Returns whether the agent's pod does not run.
    #[must_use]
    pub const fn is_without_pod(self) -> bool {
        matches!(
            self,
            Self::AgentStarting
                | Self::AgentEnding
                | Self::AgentNotRunning
                | Self::AgentUnreachable
                | Self::AgentUnschedulable
                | Self::AgentImageUnavailable
                | Self::AgentCrashing
                | Self::AgentPodRefused
                | Self::AgentPodStuck
        )
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
