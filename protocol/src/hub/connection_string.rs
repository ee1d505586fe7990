//! Device connection strings, `HostName=…;DeviceId=…;SharedAccessKey=…` (ref §2.4). Pure.

use zeroize::Zeroizing;

use super::host::{HostError, HostPort};
use super::id::{DeviceId, IdError};
use super::key::{KeyError, SymmetricKey};

/// Why a text is not a device's connection string. No variant carries a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConnectionStringError {
    /// A part without `=`.
    #[error("part {position} of the connection string has no '='")]
    NoValue {
        /// Counted from 1.
        position: usize,
    },
    /// A name that no device connection string has.
    #[error("the connection string has an unknown field {0:?}")]
    UnknownField(String),
    /// A name that stands twice.
    #[error("the connection string has {0} twice")]
    Duplicate(&'static str),
    /// A name that must be there.
    #[error("the connection string lacks {0}")]
    Missing(&'static str),
    /// A kind of connection string that Lanyard has no use for here.
    #[error("{0} is not supported: use the connection string with the device's SharedAccessKey")]
    Unsupported(&'static str),
    /// `HostName` or `GatewayHostName` is no host.
    #[error("the connection string's {0} is wrong: {1}")]
    Host(&'static str, #[source] HostError),
    /// `DeviceId` is no device id.
    #[error("the connection string's DeviceId is wrong: {0}")]
    DeviceId(#[source] IdError),
    /// `SharedAccessKey` is no key.
    #[error("the connection string's SharedAccessKey is wrong: {0}")]
    Key(#[source] KeyError),
}

/// What a device's connection string says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceConnectionString {
    /// The hub.
    pub hostname: HostPort,
    /// The device.
    pub device_id: DeviceId,
    /// The device's own key.
    pub key: SymmetricKey,
    /// What to dial instead of the hub (ref §1.13).
    pub gateway_hostname: Option<HostPort>,
}

impl DeviceConnectionString {
    /// Reads a connection string; white space around it is ignored.
    ///
    /// # Errors
    /// [`ConnectionStringError`] names the wrong field and never repeats a key.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        use ConnectionStringError as E;
        let (mut host, mut device, mut key, mut gateway) = (None, None, None, None);
        for (position, part) in text.trim().split(';').enumerate().filter(|(_, part)| !part.is_empty()) {
            // Base64 ends with '=', so only the first one separates.
            let (name, value) = part.split_once('=').ok_or(E::NoValue { position: position + 1 })?;
            let (slot, name) = match name {
                "HostName" => (&mut host, "HostName"),
                "DeviceId" => (&mut device, "DeviceId"),
                "SharedAccessKey" => (&mut key, "SharedAccessKey"),
                "GatewayHostName" => (&mut gateway, "GatewayHostName"),
                "ModuleId" => return Err(E::Unsupported("a module's connection string")),
                "SharedAccessSignature" => {
                    return Err(E::Unsupported("a ready-made SharedAccessSignature, which expires,"));
                }
                "SharedAccessKeyName" => {
                    return Err(E::Unsupported("a service connection string (SharedAccessKeyName)"));
                }
                "x509" => return Err(E::Unsupported("x509")),
                other => return Err(E::UnknownField(other.to_owned())),
            };
            if slot.replace(value).is_some() {
                return Err(E::Duplicate(name));
            }
        }
        let host = host.ok_or(E::Missing("HostName"))?;
        let device = device.ok_or(E::Missing("DeviceId"))?;
        let key = key.ok_or(E::Missing("SharedAccessKey"))?;
        Ok(Self {
            hostname: HostPort::parse(host).map_err(|e| E::Host("HostName", e))?,
            device_id: DeviceId::new(device).map_err(E::DeviceId)?,
            key: SymmetricKey::from_base64(key).map_err(E::Key)?,
            gateway_hostname: gateway
                .map(HostPort::parse)
                .transpose()
                .map_err(|e| E::Host("GatewayHostName", e))?,
        })
    }

    /// The text for other software. Never log it.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let Self { hostname, device_id, key, gateway_hostname } = self;
        let key = key.to_base64();
        let mut text = Zeroizing::new(String::with_capacity(512));
        for part in
            ["HostName=", &hostname.to_string(), ";DeviceId=", device_id.as_str(), ";SharedAccessKey=", &key]
        {
            text.push_str(part);
        }
        if let Some(gateway) = gateway_hostname {
            text.push_str(";GatewayHostName=");
            text.push_str(&gateway.to_string());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn plain_and_gateway_forms() {
        let text = format!("HostName=contoso.azure-devices.net;DeviceId=dev1;SharedAccessKey={K32}");
        let parsed = DeviceConnectionString::parse(&format!(" {text}\n")).unwrap();
        assert_eq!(
            (parsed.hostname.host(), parsed.device_id.as_str()),
            ("contoso.azure-devices.net", "dev1")
        );
        assert_eq!(parsed.key.to_base64().as_str(), K32);
        assert_eq!(parsed.expose().as_str(), text);
        assert!(!format!("{parsed:?}").contains("AAEC"));

        let text = format!("{text};GatewayHostName=edge01.plant.local:8884");
        let parsed = DeviceConnectionString::parse(&text).unwrap();
        assert_eq!(parsed.gateway_hostname.as_ref().unwrap().port(), 8884);
        assert_eq!(parsed.expose().as_str(), text);
    }

    #[test]
    fn errors_name_the_field_and_hide_the_key() {
        use ConnectionStringError as E;
        let error = |text: &str| DeviceConnectionString::parse(text).unwrap_err();
        assert_eq!(error("DeviceId=d;SharedAccessKey=x"), E::Missing("HostName"));
        assert_eq!(error("HostName=h;SharedAccessKey=x"), E::Missing("DeviceId"));
        assert_eq!(error("HostName=h;DeviceId=d"), E::Missing("SharedAccessKey"));
        assert_eq!(error("HostName=h;HostName=i"), E::Duplicate("HostName"));
        assert_eq!(error("HostName=h;Other=i"), E::UnknownField("Other".into()));
        assert_eq!(error("HostName=h;nonsense"), E::NoValue { position: 2 });
        assert_eq!(error("HostName=h;DeviceId=d;SharedAccessKey=secret!"), E::Key(KeyError::NotBase64));
        for other in [
            "ModuleId=m",
            "SharedAccessSignature=SharedAccessSignature sr=x",
            "SharedAccessKeyName=iothubowner",
            "x509=true",
        ] {
            assert!(matches!(error(other), E::Unsupported(_)), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_connection_string_or_an_error(text in "\\PC{0,200}", tail in "[A-Za-z0-9=;./+-]{0,80}") {
            let _ = DeviceConnectionString::parse(&text);
            if let Ok(parsed) = DeviceConnectionString::parse(&format!("HostName=h;DeviceId=d;SharedAccessKey={K32};{tail}")) {
                prop_assert_eq!(DeviceConnectionString::parse(&parsed.expose()).unwrap(), parsed);
            }
        }
    }
}
