//! Entry of a device in the registry of its hub (ref §11.1). Pure.

use super::authentication::Authentication;

/// A registered device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredDevice {
    /// Case-sensitive.
    pub id: String,
    /// Authentication of the device.
    pub authentication: Authentication,
    /// Allows the device to connect.
    pub enabled: bool,
}
