//! Texts of hubs, DPS and users: topics, property bags, DPS bodies, connection strings.

use lanyard_protocol::hub::connection_string::DeviceConnectionString;
use lanyard_protocol::hub::dps::{OperationStatus, RegisterRequest, ServiceError};
use lanyard_protocol::hub::property_bag::PropertyBag;
use lanyard_protocol::hub::topic::{FromDps, FromHub, ToDps, ToHub};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a text in every format: a valid one is equal after it was written and read again.
///
/// # Panics
/// If it is not.
pub fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = (FromHub::parse(text, "d"), ToHub::parse(text, "d", None), ToHub::parse(text, "d", Some("m")));
    if let Ok(bag) = PropertyBag::parse(text) {
        assert_eq!(PropertyBag::parse(&bag.to_string()), Ok(bag));
    }
    if let Ok(asked) = ToDps::parse(text) {
        assert_eq!(ToDps::parse(&asked.to_string()), Ok(asked));
    }
    if let Ok(answer) = FromDps::parse(text) {
        assert_eq!(FromDps::parse(&answer.to_string()), Ok(answer));
    }
    if let Ok(found) = DeviceConnectionString::parse(text) {
        let again = DeviceConnectionString::parse(&found.expose()).expect("what is written can be read");
        assert_eq!(again.expose(), found.expose());
    }
    body::<OperationStatus>(text);
    body::<RegisterRequest>(text);
    body::<ServiceError>(text);
}

fn body<T: Serialize + DeserializeOwned>(text: &str) {
    if let Ok(read) = serde_json::from_str::<T>(text) {
        let written = serde_json::to_string(&read).expect("string keys and finite numbers only");
        let again = serde_json::from_str::<T>(&written).expect("what is written can be read");
        assert_eq!(serde_json::to_string(&again).ok(), Some(written));
    }
}
