//! Answers to verification codes: certificates that prove the possession of a CA's key (ref §9.2). Pure but for the key that is
//! made; time and serial number are parameters.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use lanyard_crds::ProvisioningGroup;
use lanyard_crds::slot::InUse;

use crate::credential::certificate::Certificate;
use crate::credential::issuer::Issuer;
use crate::credential::leaf::{self, LeafError};
use crate::credential::pem;
use crate::fault::Fault;
use crate::kubernetes::secret::SecretData;
use crate::reason::Reason;

/// The certificate to upload, in the Secret.
pub const CERTIFICATE: &str = "verification.crt";
/// Validity of a verification certificate: long enough for an upload on the next days. It proves possession and
/// nothing else.
const VALID: Duration = Duration::from_secs(7 * 24 * 3600);

/// Returns the name of the Secret with the answer for the CA in a slot.
#[must_use]
pub fn secret_name(group: &str, slot: InUse) -> String {
    match slot {
        InUse::Primary => format!("{group}-verification"),
        InUse::Secondary => format!("{group}-secondary-verification"),
    }
}

/// Returns the code that is to be answered for the CA in a slot.
#[must_use]
pub fn code(group: &ProvisioningGroup, slot: InUse) -> Option<&str> {
    let x509 = group.spec.attestation.x509.as_ref()?;
    let issuer = match slot {
        InUse::Primary => Some(&x509.issuer),
        InUse::Secondary => x509.secondary_issuer.as_ref(),
    };
    issuer?.verification_code.as_deref()
}

/// Returns a certificate for a code: the existing one until it no longer answers the code or is due to be reissued,
/// then a new one.
///
/// # Errors
/// [`Fault`]: none can be made.
pub fn answer(
    code: &str,
    issuer: &Issuer,
    found: Option<&SecretData>,
    serial: [u8; 16],
    now: Timestamp,
) -> Result<Certificate, Fault> {
    let found = found.and_then(|data| data.bytes(CERTIFICATE));
    let found = found.and_then(|bytes| Certificate::read_all(bytes).ok()).map(|mut found| found.remove(0));
    if let Some(found) = found.filter(|found| answers(found, code, issuer) && now < again_at(found, issuer)) {
        return Ok(found);
    }
    leaf::possession(code, issuer, &leaf::serial(serial), now, VALID).map_err(|error: LeafError| {
        Fault::new(Reason::SigningFailed, format!("cannot issue the verification certificate: {error}"))
    })
}

fn answers(found: &Certificate, code: &str, issuer: &Issuer) -> bool {
    found.common_name.as_deref() == Some(code) && found.is_signed_by(issuer.certificate())
}

/// Returns the time at which the certificate is reissued: when a third of its validity is left, but not repeatedly if
/// the CA expires earlier.
#[must_use]
pub fn again_at(answer: &Certificate, issuer: &Issuer) -> Timestamp {
    if answer.not_after >= issuer.not_after() {
        return answer.not_after;
    }
    answer.not_after.saturating_sub(VALID / 3).unwrap_or(Timestamp::MIN)
}

/// Returns the Secret with the answer.
#[must_use]
pub fn secret(group: &ProvisioningGroup, slot: InUse, answer: &Certificate) -> Secret {
    let name = group.name_any();
    let labels = [
        ("app.kubernetes.io/name", "lanyard-verification"),
        ("app.kubernetes.io/instance", name.as_str()),
        ("app.kubernetes.io/part-of", "lanyard"),
        ("app.kubernetes.io/managed-by", "lanyard-operator"),
    ];
    let text = pem::certificate_text(answer.der()).into_bytes();
    Secret {
        metadata: ObjectMeta {
            name: Some(secret_name(&name, slot)),
            namespace: group.namespace(),
            // A label's value has 63 letters.
            labels: Some(
                labels
                    .iter()
                    .filter(|(_, value)| value.len() <= 63)
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            ),
            owner_references: group.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(CERTIFICATE.to_owned(), ByteString(text))])),
        ..Secret::default()
    }
}
