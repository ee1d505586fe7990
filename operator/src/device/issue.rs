//! Third stage: the device's credential, derived from its group's key or taken from its own Secret. Pure.

use lanyard_protocol::hub::connection_string::DeviceConnectionString;
use lanyard_protocol::hub::key::SymmetricKey;

use super::observe::Observed;
use super::validate::{Destination, KeySource, Valid};
use crate::cluster::read::{CaFound, SecretData};
use crate::fault::{Fault, Reason};

/// What a device proves itself with, and whom it trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The device's own key. `Debug` shows nothing of it.
    pub key: SymmetricKey,
    /// PEM certificates trusted besides the public roots.
    pub trusted_ca: Option<String>,
}

/// The device's credential. The same inputs always give the same one, so that nothing has to be stored twice.
///
/// # Errors
/// [`Fault`]: what somebody has to change; never a part of a key.
pub fn issue(valid: &Valid, observed: &Observed) -> Result<Credential, Fault> {
    let key = match &valid.key_source {
        KeySource::Group { secret, key, .. } => {
            group_key(secret, key, observed.key.as_ref())?.derive(valid.device_id.as_str())
        }
        KeySource::Own { secret } => own_key(valid, secret, observed.key.as_ref())?,
    };
    Ok(Credential { key, trusted_ca: trusted_ca(&observed.trusted_ca)? })
}

/// A group's key, from the group's Secret.
///
/// # Errors
/// [`Fault`]: a missing Secret or key, or a key that is none.
pub fn group_key(secret: &str, key: &str, data: Option<&SecretData>) -> Result<SymmetricKey, Fault> {
    let data = data.ok_or_else(|| secret_not_found(secret, key))?;
    let text = data.text(key).ok_or_else(|| key_missing(secret, &[key], data))?;
    SymmetricKey::from_base64(&text).map_err(|error| key_not_base64(secret, key, &error))
}

fn secret_not_found(secret: &str, key: &str) -> Fault {
    Fault::new(
        Reason::SecretNotFound,
        format!("there is no Secret {secret:?} in this namespace: create it with the key {key}"),
    )
}

fn key_missing(secret: &str, wanted: &[&str], data: &SecretData) -> Fault {
    let (wanted, has) = (wanted.join(" or "), data.keys().join(", "));
    let has = if has.is_empty() { "nothing".to_owned() } else { has };
    Fault::new(
        Reason::SecretKeyMissing,
        format!("Secret {secret:?} has no key {wanted}, it has {has}: add {wanted}"),
    )
}

fn key_not_base64(secret: &str, key: &str, error: &dyn std::error::Error) -> Fault {
    Fault::new(Reason::KeyNotBase64, format!("{key} in Secret {secret:?} cannot be used: {error}"))
}

fn own_key(valid: &Valid, secret: &str, data: Option<&SecretData>) -> Result<SymmetricKey, Fault> {
    const WANTED: [&str; 2] = ["connectionString", "primaryKey"];
    let data = data.ok_or_else(|| secret_not_found(secret, &WANTED.join(" or ")))?;
    if let Some(text) = data.text(WANTED[0]) {
        let parsed = DeviceConnectionString::parse(&text);
        let parsed = parsed.map_err(|error| {
            Fault::new(
                Reason::InvalidConnectionString,
                format!("connectionString in Secret {secret:?}: {error}"),
            )
        })?;
        return agreed(valid, secret, parsed);
    }
    let text = data.text(WANTED[1]).ok_or_else(|| key_missing(secret, &WANTED, data))?;
    SymmetricKey::from_base64(&text).map_err(|error| key_not_base64(secret, WANTED[1], &error))
}

/// A connection string names hub and device too: another one's key is refused here and not first at the hub.
fn agreed(valid: &Valid, secret: &str, parsed: DeviceConnectionString) -> Result<SymmetricKey, Fault> {
    let mismatch = |field: &str, found: &str, path: &str, wanted: &str| {
        let message = format!(
            "connectionString in Secret {secret:?} has {field} {found:?}, but {path} is {wanted:?}: correct one of them"
        );
        Err(Fault::new(Reason::ConnectionStringMismatch, message))
    };
    if parsed.device_id != valid.device_id {
        return mismatch("DeviceId", parsed.device_id.as_str(), "the device's id", valid.device_id.as_str());
    }
    if let Destination::Hub(hub) = &valid.destination
        && !hub.hostname.host().eq_ignore_ascii_case(parsed.hostname.host())
    {
        return mismatch("HostName", parsed.hostname.host(), "hub.hostname", hub.hostname.host());
    }
    Ok(parsed.key)
}

/// The certificates that a reference leads to.
///
/// # Errors
/// [`Fault`]: something missing, or no certificate.
pub fn trusted_ca(found: &CaFound) -> Result<Option<String>, Fault> {
    match found {
        CaFound::NotAsked => Ok(None),
        CaFound::NoObject { object } => Err(Fault::new(
            Reason::TrustedCANotFound,
            format!(
                "trustedCA refers to {object}, which is not in this namespace: create it or correct the reference"
            ),
        )),
        CaFound::NoKey { object, key } => Err(Fault::new(
            Reason::TrustedCANotFound,
            format!(
                "trustedCA refers to key {key:?} of {object}, which has no such key: add it or correct the reference"
            ),
        )),
        CaFound::Text { object, text } if !text.contains("-----BEGIN CERTIFICATE-----") => Err(Fault::new(
            Reason::TrustedCAInvalid,
            format!(
                "trustedCA refers to {object}, where no PEM certificate stands: it must contain -----BEGIN CERTIFICATE-----"
            ),
        )),
        CaFound::Text { text, .. } => Ok(Some(text.clone())),
    }
}
