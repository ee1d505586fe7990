//! Reads of Secrets and trusted CAs that objects refer to; their bodies are never kept. Reads the cluster.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use lanyard_crds::refer::TrustedCa;
use zeroize::Zeroizing;

/// The data of a Secret. Wiped when dropped; `Debug` shows its keys only.
#[derive(Clone, Default)]
pub struct SecretData(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl SecretData {
    /// The text under a key; what is no UTF-8 counts as something wrong, not as missing.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<Zeroizing<String>> {
        self.0.get(key).map(|bytes| Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()))
    }

    /// The keys, for messages.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl FromIterator<(String, Vec<u8>)> for SecretData {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(items: I) -> Self {
        Self(items.into_iter().map(|(key, bytes)| (key, Zeroizing::new(bytes))).collect())
    }
}

impl std::fmt::Debug for SecretData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SecretData").field(&self.keys()).finish()
    }
}

/// What a reference to a trusted CA leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CaFound {
    /// There is no reference.
    #[default]
    NotAsked,
    /// There is no such Secret or ConfigMap.
    NoObject {
        /// Such as `ConfigMap plant-ca`.
        object: String,
    },
    /// It lacks the key.
    NoKey {
        /// Such as `ConfigMap plant-ca`.
        object: String,
        /// The key.
        key: String,
    },
    /// Here it is; certificates are no secret.
    Text {
        /// Such as `ConfigMap plant-ca`.
        object: String,
        /// What stands there.
        text: String,
    },
}

/// Reads a Secret's data.
///
/// # Errors
/// What the API server says, but for a missing Secret.
pub async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<SecretData>, kube::Error> {
    let secret = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await?;
    let data =
        |secret: Secret| secret.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect();
    Ok(secret.map(data))
}

/// Reads a trusted CA.
///
/// # Errors
/// What the API server says, but for something missing.
pub async fn trusted_ca(
    client: &Client,
    namespace: &str,
    ca: Option<&TrustedCa>,
) -> Result<CaFound, kube::Error> {
    let Some(ca) = ca else { return Ok(CaFound::NotAsked) };
    let (object, key, data) = if let Some(reference) = &ca.secret_key_ref {
        let data = secret(client, namespace, &reference.name).await?;
        let text = data.map(|data| data.text(&reference.key).map(|text| text.to_string()));
        (format!("Secret {}", reference.name), &reference.key, text)
    } else if let Some(reference) = &ca.config_map_key_ref {
        let map = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(&reference.name).await?;
        let text = map.map(|map| map.data.unwrap_or_default().remove(&reference.key));
        (format!("ConfigMap {}", reference.name), &reference.key, text)
    } else {
        return Ok(CaFound::NotAsked);
    };
    Ok(match data {
        None => CaFound::NoObject { object },
        Some(None) => CaFound::NoKey { object, key: key.clone() },
        Some(Some(text)) => CaFound::Text { object, text },
    })
}
