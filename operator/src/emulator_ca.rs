//! `lanyard-operator emulator-ca`: the CA of an emulator in the cluster, kept in a Secret and published in ConfigMaps. The
//! emulator itself does not depend on Kubernetes, and a Helm release contains no key. Writes the cluster; touches disk.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints,
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::arguments::EmulatorCa;

/// File and data key of the certificate.
const CERTIFICATE: &str = "ca.crt";
/// File and data key of the private key.
const KEY: &str = "ca.key";
/// A CA lasts for ten years.
const LASTS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Clocks differ.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// Error of the emulator's CA.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorCaError {
    /// The Secret cannot be read.
    #[error("Secret {0}: {1}")]
    Read(String, #[source] kube::Error),
    /// The Secret has no CA.
    #[error("Secret {0} has no CA: put one there as ca.crt and ca.key, or as tls.crt and tls.key")]
    NoCa(String),
    /// The new CA cannot be kept.
    #[error("cannot keep the new CA in Secret {0}: {1}")]
    Keep(String, #[source] kube::Error),
    /// The certificate cannot be published.
    #[error("ConfigMap {1} in namespace {0} does not take the CA: {2}")]
    Publish(String, String, #[source] kube::Error),
    /// No CA can be made.
    #[error("cannot make a CA: {0}")]
    Make(#[source] rcgen::Error),
    /// The emulator's files cannot be written.
    #[error("cannot write {0}: {1}")]
    Write(PathBuf, #[source] std::io::Error),
}

/// Certificate and key in PEM.
struct StoredCa {
    certificate: String,
    key: Zeroizing<String>,
}

/// Reads the CA, or makes it, writes it for the emulator, and publishes its certificate.
///
/// # Errors
/// [`EmulatorCaError`]
pub async fn run(client: &Client, arguments: &EmulatorCa, now: Timestamp) -> Result<(), EmulatorCaError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &arguments.namespace);
    let ca = match (&arguments.existing_secret, &arguments.secret) {
        (Some(name), _) => existing(&secrets, name).await?,
        (None, name) => kept(&secrets, name.as_deref().unwrap_or_default(), arguments, now).await?,
    };
    write(&arguments.directory.join(KEY), 0o600, ca.key.as_bytes())?;
    write(&arguments.directory.join(CERTIFICATE), 0o644, ca.certificate.as_bytes())?;
    for namespace in &arguments.trust_namespaces {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let patch = Patch::Merge(json!({"data": {CERTIFICATE: ca.certificate}}));
        let published = api.patch(&arguments.config_map, &PatchParams::default(), &patch).await;
        published.map_err(|error| {
            EmulatorCaError::Publish(namespace.clone(), arguments.config_map.clone(), error)
        })?;
        tracing::info!(namespace, config_map = arguments.config_map, "published the emulator's CA");
    }
    Ok(())
}

async fn existing(secrets: &Api<Secret>, name: &str) -> Result<StoredCa, EmulatorCaError> {
    let secret = secrets.get(name).await.map_err(|error| EmulatorCaError::Read(name.to_owned(), error))?;
    of_secret(&secret).ok_or_else(|| EmulatorCaError::NoCa(name.to_owned()))
}

/// Returns the CA that was made before, or makes and stores a new one. Of two that are made at once, the one that is
/// stored first is used.
async fn kept(
    secrets: &Api<Secret>,
    name: &str,
    arguments: &EmulatorCa,
    now: Timestamp,
) -> Result<StoredCa, EmulatorCaError> {
    loop {
        let secret =
            secrets.get(name).await.map_err(|error| EmulatorCaError::Read(name.to_owned(), error))?;
        if let Some(ca) = of_secret(&secret) {
            return Ok(ca);
        }
        let ca = make(&arguments.permitted_domains, now).map_err(EmulatorCaError::Make)?;
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": secret.metadata.resource_version},
            "data": {CERTIFICATE: bytes(&ca.certificate), KEY: bytes(&ca.key)},
        }));
        match secrets.patch(name, &PatchParams::default(), &patch).await {
            Ok(_) => {
                tracing::info!(secret = name, "made a CA for the emulator");
                return Ok(ca);
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(EmulatorCaError::Keep(name.to_owned(), error)),
        }
    }
}

fn of_secret(secret: &Secret) -> Option<StoredCa> {
    let data = secret.data.as_ref()?;
    let text = |name: &str| data.get(name).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
    let pair = |certificate: &str, key: &str| {
        Some(StoredCa { certificate: text(certificate)?, key: Zeroizing::new(text(key)?) })
    };
    pair(CERTIFICATE, KEY).or_else(|| pair("tls.crt", "tls.key"))
}

/// Makes a CA that can vouch for these domains, the names below them and loopback addresses, and for nothing else:
/// whoever steals it cannot play a real hub to the devices that trust it.
fn make(domains: &[String], now: Timestamp) -> Result<StoredCa, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Lanyard emulator CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = moment(now.saturating_sub(BACKDATED).unwrap_or(Timestamp::MIN));
    params.not_after = moment(now.saturating_add(LASTS).unwrap_or(Timestamp::MAX));
    let mut permitted: Vec<GeneralSubtree> = domains.iter().cloned().map(GeneralSubtree::DnsName).collect();
    permitted.push(GeneralSubtree::IpAddress(CidrSubnet::V4([127, 0, 0, 0], [255, 0, 0, 0])));
    params.name_constraints =
        Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() });
    let certificate = params.self_signed(&key)?;
    Ok(StoredCa { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

fn moment(time: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(time.as_second()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

fn write(path: &Path, mode: u32, content: &[u8]) -> Result<(), EmulatorCaError> {
    let failed = |source| EmulatorCaError::Write(path.to_owned(), source);
    // A container that starts again finds the files of its predecessor.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(content).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    #[test]
    fn new_ca_is_trusted_for_its_domains_only() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let ca = make(&["svc".to_owned(), "localhost".to_owned()], now).unwrap();
        let der = pem::parse(&ca.certificate).unwrap();
        let (_, certificate) = X509Certificate::from_der(der.contents()).unwrap();
        let constraints = certificate.name_constraints().unwrap().unwrap();
        assert!(constraints.critical);
        let permitted = constraints.value.permitted_subtrees.as_ref().unwrap();
        let bases: Vec<_> = permitted.iter().map(|subtree| subtree.base.clone()).collect();
        let loopback = [127, 0, 0, 0, 255, 0, 0, 0];
        let expected = [
            GeneralName::DNSName("svc"),
            GeneralName::DNSName("localhost"),
            GeneralName::IPAddress(&loopback),
        ];
        assert_eq!(bases, expected);
        assert_eq!(certificate.basic_constraints().unwrap().unwrap().value.path_len_constraint, Some(0));
    }

    #[test]
    fn a_secret_of_cert_manager_is_a_ca_too() {
        let secret = |names: &[&str]| Secret {
            data: Some(names.iter().map(|&name| (name.to_owned(), ByteString(name.into()))).collect()),
            ..Secret::default()
        };
        let certificate = |names: &[&str]| of_secret(&secret(names)).map(|ca| ca.certificate);
        assert_eq!(certificate(&["ca.crt", "tls.crt", "tls.key"]).unwrap(), "tls.crt");
        assert_eq!(certificate(&["ca.crt", "ca.key"]).unwrap(), "ca.crt");
        assert!(certificate(&["ca.crt"]).is_none() && of_secret(&Secret::default()).is_none());
    }
}
