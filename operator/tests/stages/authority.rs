//! CAs, and the time that it is. Pure but for the randomness of keys.

use jiff::Timestamp;
use lanyard_operator::kubernetes::secret::SecretData;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::given::secret;

/// Seconds of a day.
pub(crate) const DAY: i64 = 24 * 3600;

/// Of a domain controller, with the openssl command: three domain components in its name. A throw-away key.
pub(crate) const DOMAIN_CA: &str = "-----BEGIN CERTIFICATE-----
MIICFzCCAb2gAwIBAgIUQjQxE4aSYwR9Z0MAUtraPWBrUgswCgYIKoZIzj0EAwIw
WDETMBEGCgmSJomT8ixkARkWA2NvbTEXMBUGCgmSJomT8ixkARkWB2NvbnRvc28x
FTATBgoJkiaJk/IsZAEZFgVwbGFudDERMA8GA1UEAwwIUGxhbnQgQ0EwIBcNMjYx
MTIzMTMxMDA2WhgPMjEyNjEwMzAxMzEwMDZaMFgxEzARBgoJkiaJk/IsZAEZFgNj
b20xFzAVBgoJkiaJk/IsZAEZFgdjb250b3NvMRUwEwYKCZImiZPyLGQBGRYFcGxh
bnQxETAPBgNVBAMMCFBsYW50IENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
OIe/7bJjPzBcActrLdvD3QiVG4/vT5+zMoXJBB7u/cVHthZGoSomALpYcqqZHDtf
r4j4ISXwPLNBaikit7JO1qNjMGEwHQYDVR0OBBYEFLwV/QMnSM4K6IOC9SNA7YaO
XkxfMB8GA1UdIwQYMBaAFLwV/QMnSM4K6IOC9SNA7YaOXkxfMA4GA1UdDwEB/wQE
AwIBhjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCTcy8k9SzM
ILE8pUmP1Ygbhzk/cC2/AaQHAvr7DACodgIgfxbYL2TSbt6KPz5SkecH8nPk7pE6
2x1a8FPOPas4n4Q=
-----END CERTIFICATE-----
";
/// Its key, as older tools write it: with the curve before it.
pub(crate) const DOMAIN_CA_KEY: &str = "-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIIU/GkHdU3sh6nv4K9etGS8IbaJjEXiV1aSUOqV3LMlhoAoGCCqGSM49
AwEHoUQDQgAEOIe/7bJjPzBcActrLdvD3QiVG4/vT5+zMoXJBB7u/cVHthZGoSom
ALpYcqqZHDtfr4j4ISXwPLNBaikit7JO1g==
-----END EC PRIVATE KEY-----
";

/// Returns a moment in the life of all CAs here.
pub(crate) fn noon() -> Timestamp {
    Timestamp::from_second(1_830_000_000).unwrap()
}

/// Creates a root of this name in a Secret.
pub(crate) fn root(name: &str) -> SecretData {
    root_with(name, &KeyPair::generate().unwrap(), 1)
}

/// Creates a root of this name with a serial number, for a key.
pub(crate) fn root_with(name: &str, key: &KeyPair, serial: u64) -> SecretData {
    let mut params = CertificateParams::default();
    params.serial_number = Some(serial.into());
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    secret(&[("tls.crt", &params.self_signed(key).unwrap().pem()), ("tls.key", &key.serialize_pem())])
}

/// Creates a certificate from the year 2000 to 2100 after a change, its key as text, and the issuer that signs with it.
pub(crate) fn signed(
    name: &str,
    above: Option<&Issuer<'_, KeyPair>>,
    change: impl FnOnce(&mut CertificateParams),
) -> (String, String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    let made = above.map_or_else(|| params.self_signed(&key), |above| params.signed_by(&key, above));
    (made.unwrap().pem(), key.serialize_pem(), Issuer::new(params, key))
}

/// Returns the domain's CA in a Secret.
pub(crate) fn domain() -> SecretData {
    secret(&[("tls.crt", DOMAIN_CA), ("tls.key", DOMAIN_CA_KEY)])
}

/// Returns noon of that many days later.
pub(crate) fn after(days: i64) -> Timestamp {
    Timestamp::from_second(noon().as_second() + days * DAY).unwrap()
}
