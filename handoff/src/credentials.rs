//! Names in a device's credentials folder, which are the keys of its Secret. Pure; the agent reads the files.
//!
//! Each device has a folder with its name in the configuration. The agent reads either [`SHARED_ACCESS_KEY`], or
//! [`CERTIFICATE`] with [`PRIVATE_KEY`]. It uses the files with `PREVIOUS_…`, if they exist, when the hub refuses the
//! first credential; one of the two may be a key and the other a certificate, because a group can change its
//! attestation. [`TRUSTED_CA`] is optional. The other names are for software that uses the Secret without an agent.

/// File of the key that signs tokens, in base64: the device's own, or derived from the key of its group.
pub const SHARED_ACCESS_KEY: &str = "sharedAccessKey";
/// File of the certificate chain in PEM: the device's certificate, then the intermediate CAs (ref §9.1).
pub const CERTIFICATE: &str = "tls.crt";
/// File of the private key of [`CERTIFICATE`], PKCS #8 in PEM.
pub const PRIVATE_KEY: &str = "tls.key";
/// File of the previous [`SHARED_ACCESS_KEY`], until the hub has accepted the current one.
pub const PREVIOUS_SHARED_ACCESS_KEY: &str = "previousSharedAccessKey";
/// File of the previous [`CERTIFICATE`], until the hub has accepted the current one.
pub const PREVIOUS_CERTIFICATE: &str = "previous.crt";
/// File of the private key of [`PREVIOUS_CERTIFICATE`].
pub const PREVIOUS_PRIVATE_KEY: &str = "previous.key";
/// File of the CA certificates in PEM that the agent trusts in addition to the public roots.
pub const TRUSTED_CA: &str = "ca.crt";
/// File of the device id, for other software.
pub const DEVICE_ID: &str = "deviceId";
/// File of the hub's name and port, for other software; absent if DPS assigns the hub.
pub const HOSTNAME: &str = "hostname";
/// File of the connection string, for other software; absent if DPS assigns the hub.
pub const CONNECTION_STRING: &str = "connectionString";
/// File of the name and port of DPS, for other software; absent for a device without DPS.
pub const DPS_ENDPOINT: &str = "dpsEndpoint";
/// File of the id scope, for other software; absent for a device without DPS.
pub const ID_SCOPE: &str = "idScope";
