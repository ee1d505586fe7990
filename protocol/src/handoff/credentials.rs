//! Names in a device's credentials folder, which are the keys of its Secret. Pure; the agent reads the files.
//!
//! A folder per device, named like the device in the configuration. The agent reads [`SHARED_ACCESS_KEY`] and, if it
//! is there, [`TRUSTED_CA`]. The other names serve software that uses the Secret without an agent.

/// The key to sign tokens with, base64: the device's own, or derived from its group's key in use.
pub const SHARED_ACCESS_KEY: &str = "sharedAccessKey";
/// PEM certificates trusted besides the public roots, for hub, gateway and DPS.
pub const TRUSTED_CA: &str = "ca.crt";
/// The device's id, for other software.
pub const DEVICE_ID: &str = "deviceId";
/// Name and port of the hub, for other software; absent when DPS assigns the hub.
pub const HOSTNAME: &str = "hostname";
/// The device's connection string, for other software; absent when DPS assigns the hub.
pub const CONNECTION_STRING: &str = "connectionString";
/// Name and port of DPS, for other software; absent when the device goes straight to a hub.
pub const DPS_ENDPOINT: &str = "dpsEndpoint";
/// The DPS instance's id scope, for other software; absent when the device goes straight to a hub.
pub const ID_SCOPE: &str = "idScope";
