//! From a request's body to a checked value: the same words and the same problems as in the configuration file. Pure.

use lanyard_protocol::document::read::{self, DocumentError};
use lanyard_protocol::document::substitute::Disclosure;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::change::ChangeError;
use crate::config::problems::Problems;

/// Fields that Azure shows and ignores in requests, or that have no meaning here. Requests with them are accepted.
const PASSED_OVER: [&str; 17] = [
    "etag",
    "generationId",
    "connectionState",
    "connectionStateUpdatedTime",
    "statusReason",
    "statusUpdatedTime",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
    "capabilities",
    "deviceScope",
    "parentScopes",
    "createdDateTimeUtc",
    "lastUpdatedDateTimeUtc",
    "registrationState",
    "initialTwin",
    "optionalDeviceInformation",
    "iotHubHostName",
];

/// The same of a certificate's `properties`.
const PASSED_OVER_PROPERTIES: [&str; 6] =
    ["subject", "expiry", "thumbprint", "created", "updated", "verificationCode"];

/// Reads a JSON object whose `name`, if it is there, is the `id` of the path.
///
/// # Errors
/// [`ChangeError::Wrong`], with every problem of its shape.
pub fn read<T: DeserializeOwned>(text: &str, name: &str, id: &str) -> Result<T, ChangeError> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| {
        ChangeError::Wrong(format!("the body is no JSON (line {}, column {})", error.line(), error.column()))
    })?;
    let Some(fields) = value.as_object_mut() else {
        return Err(ChangeError::Wrong("the body is no JSON object: begin with {".to_owned()));
    };
    PASSED_OVER.iter().for_each(|name| drop(fields.remove(*name)));
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        PASSED_OVER_PROPERTIES.iter().for_each(|name| drop(properties.remove(*name)));
    }
    // What is null is not there (ref §11.1 shows such).
    fields.retain(|_, value| !value.is_null());
    if let Some(found) = fields.insert(name.to_owned(), id.into())
        && !found.as_str().is_some_and(|found| found.eq_ignore_ascii_case(id))
    {
        return Err(ChangeError::Wrong(format!("{name}: is not the {id:?} of the path: remove it")));
    }
    read::read(&value.to_string(), |_, _| None, Disclosure::Hidden)
        .map_err(|DocumentError { problems, .. }| wrong(&Problems::of(problems)))
}

/// Returns the value, unless it is missing or there are problems.
///
/// # Errors
/// [`ChangeError::Wrong`].
pub fn checked<T>(value: Option<T>, problems: &Problems) -> Result<T, ChangeError> {
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(wrong(problems)),
    }
}

fn wrong(problems: &Problems) -> ChangeError {
    ChangeError::Wrong(format!("the body is wrong:{problems}"))
}
