//! Devices, enrollments and certificates as they are shown: Azure's shapes, without symmetric keys (ref §11.1, §11.5,
//! §9.7). Pure.

use serde_json::{Map, Value, json};

use crate::dps::answer::{info, time};
use crate::hub::device::Device;
use crate::registry::attestation::{Attestation, Slots};
use crate::registry::authentication::Authentication;
use crate::registry::enrollment::{Group, Individual};
use crate::registry::terms::{Allocation, Reprovisioning, Terms};
use crate::x509::authorities::Authority;
use crate::x509::certificate::Certificate;
use crate::x509::text;
use crate::x509::thumbprint::Thumbprint;

/// Returns a device as JSON, without its symmetric keys.
#[must_use]
pub fn device(device: &Device) -> Value {
    let view = device.view();
    let authentication = device.identity.authentication();
    let mut shown = json!({"type": authentication.kind()});
    if let Authentication::SelfSigned(thumbprints) = &authentication {
        let text = |slot: &Option<Thumbprint>| slot.as_ref().map(ToString::to_string);
        shown["x509Thumbprint"] = json!({
            "primaryThumbprint": text(&thumbprints.primary),
            "secondaryThumbprint": text(&thumbprints.secondary),
        });
    }
    json!({
        "deviceId": &**device.identity.id(),
        "generationId": device.identity.generation_id(),
        "status": status(view.enabled),
        "connectionState": if view.connected { "Connected" } else { "Disconnected" },
        "authentication": shown,
    })
}

/// Returns an enrollment group as JSON, without its symmetric keys.
#[must_use]
pub fn group(group: &Group) -> Value {
    let mut shown = terms(&group.terms);
    shown.insert("enrollmentGroupId".to_owned(), json!(&*group.id));
    Value::Object(shown)
}

/// Returns an individual enrollment as JSON, without its symmetric keys.
#[must_use]
pub fn individual(registration_id: &str, individual: &Individual) -> Value {
    let mut shown = terms(&individual.terms);
    shown.insert("registrationId".to_owned(), json!(registration_id));
    if let Some(device_id) = &individual.device_id {
        shown.insert("deviceId".to_owned(), json!(device_id));
    }
    Value::Object(shown)
}

/// Returns a CA certificate as JSON.
#[must_use]
pub fn certificate(name: &str, authority: &Authority) -> Value {
    let certificate = &authority.certificate;
    json!({
        "name": name,
        "properties": {
            "subject": certificate.subject.to_string(),
            "expiry": time(certificate.not_after),
            "thumbprint": Thumbprint::sha1(certificate.der()).to_string(),
            "isVerified": authority.verified,
            "created": time(authority.created),
            "updated": time(authority.updated),
            "certificate": text::write(certificate),
        },
    })
}

fn terms(terms: &Terms) -> Map<String, Value> {
    let (update, migrate) = match terms.reprovisioning {
        Reprovisioning::Migrate => (true, true),
        Reprovisioning::Reset => (true, false),
        Reprovisioning::Never => (false, false),
    };
    let allocation = match terms.allocation {
        Allocation::Hashed => "hashed",
        Allocation::Static => "static",
    };
    let hubs: Vec<&str> = terms.hubs.iter().map(|hub| &**hub).collect();
    let members = [
        ("attestation", attestation(&terms.attestation)),
        ("provisioningStatus", json!(status(terms.enabled))),
        ("allocationPolicy", json!(allocation)),
        ("iotHubs", json!(hubs)),
        ("reprovisionPolicy", json!({"updateHubAssignment": update, "migrateDeviceData": migrate})),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn attestation(attestation: &Attestation) -> Value {
    let mut shown = json!({"type": attestation.kind()});
    match attestation {
        Attestation::SymmetricKey(_) => {}
        Attestation::ClientCertificates(leafs) => shown["x509"] = json!({"clientCertificates": slots(leafs)}),
        Attestation::SigningCertificates(signers) => {
            shown["x509"] = json!({"signingCertificates": slots(signers)});
        }
        Attestation::CaReferences(names) => {
            shown["x509"] = json!({"caReferences": {"primary": names.primary, "secondary": names.secondary}});
        }
    }
    shown
}

fn slots(slots: &Slots<Certificate>) -> Value {
    let one = |certificate: &Certificate| json!({"certificate": text::write(certificate), "info": info(certificate)});
    json!({"primary": one(&slots.primary), "secondary": slots.secondary.as_ref().map(one)})
}

fn status(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}
