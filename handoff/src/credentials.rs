//! Names in a device's credentials folder, which are the keys of its Secret. Pure; the agent reads the files.
//!
//! A folder per device, named like the device in the configuration. The agent reads either [`SHARED_ACCESS_KEY`] or
//! [`CERTIFICATE`] with [`PRIVATE_KEY`]; the same with `PREVIOUS_…`, if it is there, as what to return to when the hub
//! refuses the first; and, if it is there, [`TRUSTED_CA`]. A folder may hold a key before and a certificate now, or the
//! other way around: a group can change its attestation. The other names serve software that uses the Secret without an
//! agent.

/// The key to sign tokens with, base64: the device's own, or derived from its group's key in use.
pub const SHARED_ACCESS_KEY: &str = "sharedAccessKey";
/// The device's certificate first, then every intermediate up to the CA that hub or DPS knows, in PEM (ref §9.1).
pub const CERTIFICATE: &str = "tls.crt";
/// The certificate's private key, PKCS #8 in PEM.
pub const PRIVATE_KEY: &str = "tls.key";
/// File of the previous [`SHARED_ACCESS_KEY`], until the hub has accepted the current one.
pub const PREVIOUS_SHARED_ACCESS_KEY: &str = "previousSharedAccessKey";
/// File of the previous [`CERTIFICATE`], until the hub has accepted the current one.
pub const PREVIOUS_CERTIFICATE: &str = "previous.crt";
/// The private key of [`PREVIOUS_CERTIFICATE`].
pub const PREVIOUS_PRIVATE_KEY: &str = "previous.key";
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
