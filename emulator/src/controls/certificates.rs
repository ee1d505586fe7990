//! CA certificates: upload, proof of possession, removal (ref §9.2, §9.7). In memory.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::body;
use super::change::{Action, ChangeError, Done};
use super::view;
use crate::config::certificates::properties;
use crate::config::document::{CaCertificate, CaCertificateProperties};
use crate::config::files::Files;
use crate::config::problems::Problems;
use crate::x509::authorities::{Authorities, AuthorityError};
use crate::x509::text;

/// The body of `verify`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Proof {
    certificate: Option<String>,
    /// The path's, put in for the check.
    name: Option<String>,
}

/// Uploads, verifies or removes a certificate, or gives it a verification code.
///
/// # Errors
/// [`ChangeError`].
pub fn change(
    authorities: &Authorities,
    name: &str,
    action: &Action,
    now: Timestamp,
) -> Result<Done, ChangeError> {
    match action {
        Action::Put(text) => {
            let entry: CaCertificate = body::read(text, "name", name)?;
            let earlier = authorities.get(name).ok().filter(|_| names_no_certificate(&entry.properties));
            let mut problems = Problems::default();
            let certificate = match earlier {
                Some(earlier) => Some(earlier.certificate),
                None => properties(&entry.properties, "properties", Files(None), &mut problems),
            };
            let certificate = body::checked(certificate, &problems)?;
            authorities.put(name, certificate, entry.properties.is_verified, now).map_err(|e| error(&e))?;
            show(authorities, name).map(Done::Shown)
        }
        Action::Delete => authorities.remove(name).map(|()| Done::Removed).map_err(|e| error(&e)),
        Action::Code(code) => {
            let authority = authorities.set_code(name, code.clone(), now).map_err(|e| error(&e))?;
            let mut shown = view::certificate(name, &authority);
            if let Some(properties) = shown["properties"].as_object_mut() {
                properties.insert("verificationCode".to_owned(), code.clone().into());
            }
            Ok(Done::Shown(shown))
        }
        Action::Verify(text) => {
            let proof: Proof = body::read(text, "name", name)?;
            let certificate = proof.certificate.ok_or_else(|| {
                ChangeError::Wrong("certificate: is missing: give the proof of possession in PEM".to_owned())
            })?;
            let certificate = text::read(&certificate)
                .map_err(|error| ChangeError::Wrong(format!("certificate: {error}")))?;
            let authority = authorities.verify(name, &certificate, now).map_err(|e| error(&e))?;
            Ok(Done::Shown(view::certificate(name, &authority)))
        }
    }
}

fn names_no_certificate(entry: &CaCertificateProperties) -> bool {
    entry.certificate.is_none() && entry.certificate_file.is_none()
}

/// Returns a certificate as it is now.
///
/// # Errors
/// [`ChangeError::NotFound`].
pub fn show(authorities: &Authorities, name: &str) -> Result<Value, ChangeError> {
    authorities.get(name).map(|authority| view::certificate(name, &authority)).map_err(|e| error(&e))
}

fn error(error: &AuthorityError) -> ChangeError {
    match error {
        AuthorityError::Unknown(_) => ChangeError::NotFound(error.to_string()),
        _ => ChangeError::Wrong(error.to_string()),
    }
}
