//! Admission of a connection at a hub: user name, client id, device, token or certificate (ref §1.2, §1.10, §2,
//! §9.5). Pure.

use std::sync::Arc;

use lanyard_protocol::hub::user_name::HubUserName;

use super::certificate::{CertificateRefusal, check_authority, check_thumbprint};
use super::device::Device;
use super::hubs::Hub;
use crate::excerpt::excerpt;
use crate::hub::token::{TokenError, check_expiry, check_signature, read_token};
use crate::mqtt::answer::Refusal;
use crate::mqtt::packet::Connect;
use crate::registry::authentication::{Authentication, Keys};
use crate::state::EmulatorState;
use crate::x509::presented::{Presented, PresentedError};
use rustls::pki_types::CertificateDer;

/// Reason for refusing a connection. It contains nothing of a token or key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AdmissionError {
    /// Ref §1.10: code 2.
    #[error("the client id is empty")]
    NoClientId,
    /// Ref §1.2: code 3.
    #[error("no hub is named {0:?}")]
    UnknownHub(String),
    /// Ref §1.10: assumed to be code 5.
    #[error("the client id {client_id:?} is not the user name's {user_name:?}")]
    ClientId {
        /// In CONNECT.
        client_id: String,
        /// In the user name.
        user_name: String,
    },
    /// Not in the registry.
    #[error("hub {hub} has no device {device:?}")]
    UnknownDevice {
        /// Host name of the hub.
        hub: String,
        /// As written in the user name.
        device: String,
    },
    /// In the registry, but disabled.
    #[error("device {0:?} is disabled")]
    Disabled(String),
    /// Modules have no identity here.
    #[error("hub {hub} has no module {module:?}")]
    UnknownModule {
        /// Host name of the hub.
        hub: String,
        /// Device and module.
        module: String,
    },
    /// A certificate does not count for it.
    #[error("there is no password, and device {0:?} authenticates by symmetric key")]
    NoPassword(String),
    /// Something is wrong with the token.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// A token does not count for it.
    #[error("there is a password, and device {0:?} authenticates by certificate (authentication.type {1})")]
    Password(String, &'static str),
    /// There is no certificate, or it cannot be parsed.
    #[error("{0}; the device authenticates by certificate (authentication.type {1})")]
    NoCertificate(PresentedError, &'static str),
    /// Something is wrong with the certificate.
    #[error("{0}")]
    Certificate(#[from] CertificateRefusal),
}

impl AdmissionError {
    /// Returns the refusal for the CONNACK (ref §1.10).
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::NoClientId => Refusal::ClientId,
            Self::UnknownHub(_) => Refusal::ServerUnavailable,
            _ => Refusal::NotAuthorized,
        }
    }
}

/// A connection that is let in.
#[derive(Debug)]
pub struct Admission {
    /// To this hub.
    pub hub: Arc<Hub>,
    /// As this device.
    pub device: Arc<Device>,
    /// The announced model.
    pub model_id: Option<String>,
    /// Expiry of the token, in seconds since 1970, if the device has one.
    pub expiry: Option<i64>,
}

/// Decides on a CONNECT whose user name is that of a hub, with what the client presented in the handshake.
///
/// # Errors
/// [`AdmissionError`], and from it the CONNACK.
pub fn admit(
    state: &EmulatorState,
    connect: &Connect,
    user: &HubUserName,
    certificates: &[CertificateDer<'_>],
) -> Result<Admission, AdmissionError> {
    if connect.client_id.is_empty() {
        return Err(AdmissionError::NoClientId);
    }
    let hub = state.hubs.find(&user.host).ok_or_else(|| AdmissionError::UnknownHub(user.host.clone()))?;
    let identity = match &user.module_id {
        Some(module) => format!("{}/{module}", user.device_id),
        None => user.device_id.clone(),
    };
    if connect.client_id != identity {
        return Err(AdmissionError::ClientId { client_id: connect.client_id.clone(), user_name: identity });
    }
    let device = hub.device(&user.device_id).ok_or_else(|| AdmissionError::UnknownDevice {
        hub: hub.name.to_string(),
        device: user.device_id.clone(),
    })?;
    let checked = check_device(hub, &device, connect, user)
        .and_then(|()| check_proof(state, hub, &device, connect, certificates));
    if let Err(error) = &checked {
        device.refuse(excerpt(&error.to_string()));
    }
    Ok(Admission { hub: hub.clone(), expiry: checked?, device, model_id: user.model_id.clone() })
}

fn check_device(
    hub: &Hub,
    device: &Device,
    connect: &Connect,
    user: &HubUserName,
) -> Result<(), AdmissionError> {
    if !device.identity.enabled() {
        return Err(AdmissionError::Disabled(user.device_id.clone()));
    }
    if user.module_id.is_some() {
        return Err(AdmissionError::UnknownModule {
            hub: hub.name.to_string(),
            module: connect.client_id.clone(),
        });
    }
    Ok(())
}

/// Checks the token or the certificate, whichever the device's registration asks for; returns the expiry of the token,
/// in seconds since 1970.
fn check_proof(
    state: &EmulatorState,
    hub: &Hub,
    device: &Device,
    connect: &Connect,
    certificates: &[CertificateDer<'_>],
) -> Result<Option<i64>, AdmissionError> {
    let authentication = device.identity.authentication();
    // An empty password is none (ref §1.2).
    let password = connect.password.as_deref().filter(|password| !password.is_empty());
    let (id, kind) = (device.identity.id().to_string(), authentication.kind());
    let presented = || Presented::read(certificates).map_err(|e| AdmissionError::NoCertificate(e, kind));
    let now = state.clock.now();
    match (authentication, password) {
        (Authentication::Sas(keys), Some(password)) => {
            check_token(state, hub, device, &keys, password).map(Some)
        }
        (Authentication::Sas(_), None) => Err(AdmissionError::NoPassword(id)),
        (_, Some(_)) => Err(AdmissionError::Password(id, kind)),
        (Authentication::SelfSigned(thumbprints), None) => {
            Ok(check_thumbprint(&thumbprints, &presented()?, now).map(|()| None)?)
        }
        (Authentication::CertificateAuthority, None) => {
            Ok(check_authority(&id, &presented()?, &state.authorities, now).map(|()| None)?)
        }
    }
}

fn check_token(
    state: &EmulatorState,
    hub: &Hub,
    device: &Device,
    keys: &Keys,
    password: &[u8],
) -> Result<i64, AdmissionError> {
    let expected = format!("{}/devices/{}", hub.name, device.identity.id());
    let token = read_token(password)?;
    match token.policy() {
        None | Some("") => {}
        Some(policy) => return Err(TokenError::Policy(policy.to_owned()).into()),
    }
    if !token.covers(&expected) {
        return Err(TokenError::Audience { presented: token.resource().to_owned(), expected }.into());
    }
    check_signature(&token, keys)?;
    Ok(check_expiry(&token, state.clock.seconds(), state.tokens.skew)?)
}
