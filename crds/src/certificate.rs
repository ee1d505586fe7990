//! Certificates that the operator makes or takes, and the CAs that sign them. Pure.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::refer::SecretReference;

/// The life of something that ends: whole hours, minutes and seconds, such as `8760h` or `1h30m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lifetime(pub String);

impl JsonSchema for Lifetime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Lifetime".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [{
                // Six digits of hours do not overflow what follows.
                "rule": "self.matches('^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') && size(self) > 0 && duration(self) >= duration('1m') && duration(self) <= duration('876000h')",
                "message": "use a length of time from 1m to 876000h (100 years) in hours, minutes and seconds, such as 8760h or 1h30m"
            }]
        })
    }
}

/// How a device's certificate is made: for how long, when the next one follows, with which key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.renewBefore) || duration(self.renewBefore) < duration(has(self.duration) ? self.duration : '8760h')",
    "message": "renewBefore must be shorter than duration (8760h unless it is set)",
    "fieldPath": ".renewBefore"
}]))]
pub struct Leaf {
    /// For how long it is valid; 8760h (a year) unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Lifetime>,
    /// How long before its end the next one is made; 720h (30 days), or a third of duration if that is shorter, unless
    /// it is set. A part of up to a tenth of it is added by chance, so that devices of one age do not renew at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<Lifetime>,
    /// The device's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKey>,
}

/// Kind and size of a private key. Every certificate gets a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.size) || (has(self.algorithm) && self.algorithm == 'RSA' ? self.size in [2048, 3072, 4096] : self.size in [256, 384])",
    "message": "size is 256 or 384 for ECDSA, and 2048, 3072 or 4096 for RSA",
    "fieldPath": ".size"
}]))]
pub struct PrivateKey {
    /// `ECDSA` (the default) or `RSA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<KeyAlgorithm>,
    /// In bits: 256 (the default) or 384 for ECDSA; 2048 (the default), 3072 or 4096 for RSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 256, max = 4096))]
    pub size: Option<u16>,
}

/// Kind of a private key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// On the curves P-256 and P-384.
    #[default]
    #[serde(rename = "ECDSA")]
    Ecdsa,
    /// For software that knows nothing else.
    #[serde(rename = "RSA")]
    Rsa,
}

/// A certificate that something else keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptCertificate {
    /// A Secret of type kubernetes.io/tls: `tls.crt` (the device's certificate first, then its chain) and `tls.key`.
    /// cert-manager, for one, keeps such Secrets.
    pub secret_ref: SecretReference,
}

/// The certificates of a group: the CAs that sign them, and how they are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.use) || self.use != 'Secondary' || has(self.secondaryIssuer)",
    "message": "use: Secondary needs secondaryIssuer",
    "fieldPath": ".use"
}, {
    "rule": "!has(self.secondaryIssuer) || self.secondaryIssuer.secretRef.name != self.issuer.secretRef.name",
    "message": "issuer and secondaryIssuer must be two Secrets: a CA that is replaced in place leaves nothing to return to",
    "fieldPath": ".secondaryIssuer"
}]))]
pub struct GroupCertificates {
    /// The CA in the enrollment group's primary slot.
    pub issuer: Issuer,
    /// The CA in its secondary slot, to move to: add it, verify it, then change use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_issuer: Option<Issuer>,
    /// Which of the two signs the devices' certificates: `Primary` (the default) or `Secondary`. A change moves every
    /// device to the other CA, as fast as rollover.devicesPerMinute says.
    #[serde(default, rename = "use")]
    pub in_use: crate::group::InUse,
    /// How a device's certificate is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<Leaf>,
}

impl GroupCertificates {
    /// The CA that signs; `None` where `use: Secondary` lacks `secondaryIssuer`, which the schema refuses.
    #[must_use]
    pub const fn issuer_in_use(&self) -> Option<&Issuer> {
        match self.in_use {
            crate::group::InUse::Primary => Some(&self.issuer),
            crate::group::InUse::Secondary => self.secondary_issuer.as_ref(),
        }
    }
}

/// A CA, which only the operator reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// A Secret of type kubernetes.io/tls: `tls.crt` (the CA's certificate first; for an intermediate then the chain to the
    /// root, which may be left out) and `tls.key`.
    pub secret_ref: SecretReference,
    /// The code that DPS or IoT Central shows to have the CA verified. The operator answers with a certificate for that
    /// code, signed by the CA, in the Secret that `status.verification` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = [{
        "rule": "self.matches('^[A-Za-z0-9-]+$')",
        "message": "a verification code has letters, digits and - only: copy it from DPS or IoT Central"
    }]))]
    pub verification_code: Option<String>,
}
