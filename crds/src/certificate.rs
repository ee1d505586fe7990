//! Certificates and the CAs that sign them. Pure.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::refer::SecretReference;

/// Validity period: whole hours, minutes and seconds, such as `8760h` or `1h30m`.
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
                "rule": "self.matches('^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') && size(self) > 0 && \
                    duration(self) >= duration('1m') && duration(self) <= duration('876000h')",
                "message": "use a duration from 1m to 876000h (100 years) in hours, minutes and seconds, such as 8760h or 1h30m"
            }]
        })
    }
}

/// Validity, renewal and private key of a device's certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.renewBefore) || duration(self.renewBefore) < duration(has(self.duration) ? self.duration : '8760h')",
    "message": "renewBefore must be shorter than duration (default 8760h)",
    "fieldPath": ".renewBefore"
}]))]
pub struct Leaf {
    /// Validity period. The default is 8760h (a year).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Lifetime>,
    /// Time before the expiry at which the next certificate is issued. The default is 720h (30 days), or a third of
    /// duration if that is shorter. Up to a tenth of it is added at random, so that devices of the same age do not
    /// renew at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<Lifetime>,
    /// Private key of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKey>,
}

/// Algorithm and size of a private key. Every certificate has a new key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.size) || (has(self.algorithm) && self.algorithm == 'RSA' ? self.size in [2048, 3072, 4096] : \
        self.size in [256, 384])",
    "message": "size is 256 or 384 for ECDSA, and 2048, 3072 or 4096 for RSA",
    "fieldPath": ".size"
}]))]
pub struct PrivateKey {
    /// Algorithm: `ECDSA` (the default) or `RSA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<KeyAlgorithm>,
    /// Size in bits: 256 (the default) or 384 for ECDSA; 2048 (the default), 3072 or 4096 for RSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 256, max = 4096))]
    pub size: Option<u16>,
}

/// Algorithm of a private key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// ECDSA with the curves P-256 and P-384.
    #[default]
    #[serde(rename = "ECDSA")]
    Ecdsa,
    /// RSA, for software that supports nothing else.
    #[serde(rename = "RSA")]
    Rsa,
}

/// Certificate that another program maintains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptCertificate {
    /// Secret of type kubernetes.io/tls: `tls.crt` (the device's certificate first, then its chain) and `tls.key`, as
    /// cert-manager maintains it, for example.
    pub secret_ref: SecretReference,
}

/// Certificates of a group: their CAs, validity and keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.use) || self.use != 'Secondary' || has(self.secondaryIssuer)",
    "message": "use: Secondary needs secondaryIssuer",
    "fieldPath": ".use"
}, {
    "rule": "!has(self.secondaryIssuer) || self.secondaryIssuer.secretRef.name != self.issuer.secretRef.name",
    "message": "issuer and secondaryIssuer must be different Secrets, so that the group can return to the previous CA",
    "fieldPath": ".secondaryIssuer"
}]))]
pub struct GroupCertificates {
    /// CA in the primary slot of the enrollment group.
    pub issuer: Issuer,
    /// CA in the secondary slot, as the target of a move: add it, verify it, then change use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_issuer: Option<Issuer>,
    /// CA that signs the devices' certificates: `Primary` (the default) or `Secondary`. A change moves every device
    /// to the other CA, at the rate of rollover.devicesPerMinute.
    #[serde(default, rename = "use")]
    pub in_use: crate::slot::InUse,
    /// Validity, renewal and private key of the devices' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<Leaf>,
}

impl GroupCertificates {
    /// Returns the CA that signs; `None` if `use: Secondary` lacks `secondaryIssuer`, which the schema refuses.
    #[must_use]
    pub const fn issuer_in_use(&self) -> Option<&Issuer> {
        match self.in_use {
            crate::slot::InUse::Primary => Some(&self.issuer),
            crate::slot::InUse::Secondary => self.secondary_issuer.as_ref(),
        }
    }
}

/// CA. Only the operator reads its Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Secret of type kubernetes.io/tls: `tls.crt` (the CA's certificate first; for an intermediate CA followed by
    /// its chain, in which the root is optional) and `tls.key`.
    pub secret_ref: SecretReference,
    /// Verification code of DPS or IoT Central. The operator issues a certificate for that code, signed by the CA, in
    /// the Secret that `status.verification` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = [{
        "rule": "self.matches('^[A-Za-z0-9-]+$')",
        "message": "a verification code has letters, digits and - only: copy it from DPS or IoT Central"
    }]))]
    pub verification_code: Option<String>,
}
