//! Device connection strings, `HostName=…;DeviceId=…;SharedAccessKey=…` (ref §2.4). Pure.

use zeroize::Zeroizing;

use crate::text::{self, TextError};

use super::host::HostPort;
use super::id::DeviceId;
use super::key::{KeyError, SymmetricKey};

/// Error of a text that is not a device's connection string. No variant contains any of the text, which may be a key
/// in the wrong place: fields are named from the fixed list of names, everything else by position.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum ConnectionStringError {
    /// Not UTF-8 text.
    #[error("the connection string cannot be read: {0}")]
    Text(#[source] TextError),
    /// The text is a key without a connection string.
    #[error("it is a bare key and not a connection string: store it as primaryKey")]
    BareKey,
    /// A part has no `=`.
    #[error("part {position} of the connection string has no '='")]
    NoValue {
        /// Counted from 1.
        position: usize,
    },
    /// A part has an unknown name.
    #[error(
        "part {position} of the connection string has an unknown name: a device's has HostName, DeviceId, \
            SharedAccessKey and GatewayHostName"
    )]
    UnknownField {
        /// Counted from 1.
        position: usize,
    },
    /// A name occurs twice.
    #[error("the connection string has {0} twice")]
    Duplicate(&'static str),
    /// A required name is missing.
    #[error("the connection string lacks {0}")]
    Missing(&'static str),
    /// The kind of connection string is not supported.
    #[error("{0} is not supported: use the connection string with the device's SharedAccessKey")]
    Unsupported(&'static str),
    /// `HostName` or `GatewayHostName` is not a host.
    #[error("the connection string's {0} is not a host name: copy the connection string whole")]
    Host(&'static str),
    /// `DeviceId` is not a device id.
    #[error("the connection string's DeviceId is not a device id: copy the connection string whole")]
    DeviceId,
    /// `SharedAccessKey` is not a key.
    #[error("the connection string's SharedAccessKey is wrong: {0}")]
    Key(#[source] KeyError),
}

/// Device connection string. `Debug` shows none of its values, because a key may be in the wrong field.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceConnectionString {
    /// Host and port of the hub.
    pub hostname: HostPort,
    /// Id of the device.
    pub device_id: DeviceId,
    /// Key of the device.
    pub key: SymmetricKey,
    /// Host to connect to instead of the hub (ref §1.13).
    pub gateway_hostname: Option<HostPort>,
}

impl std::fmt::Debug for DeviceConnectionString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceConnectionString(«redacted»)")
    }
}

impl DeviceConnectionString {
    /// Reads a connection string from a file or a Secret, as [`Self::parse`] does.
    ///
    /// # Errors
    /// [`ConnectionStringError`] names the wrong field and repeats nothing of the text.
    pub fn read(bytes: &[u8]) -> Result<Self, ConnectionStringError> {
        Self::parse(text::decode(bytes).map_err(ConnectionStringError::Text)?)
    }

    /// Reads a connection string. White space around its parts and a byte order mark are ignored.
    ///
    /// # Errors
    /// [`ConnectionStringError`] names the wrong field and repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        use ConnectionStringError as E;
        let (mut host, mut device, mut key, mut gateway) = (None, None, None, None);
        let text = text::without_mark(text).trim();
        if !text.contains(';') && SymmetricKey::from_base64(text).is_ok() {
            return Err(E::BareKey);
        }
        for (index, part) in text.split(';').enumerate().filter(|(_, part)| !part.trim().is_empty()) {
            let position = index + 1;
            // Base64 ends with '=', so only the first one separates.
            let (name, value) = part.split_once('=').ok_or(E::NoValue { position })?;
            let (slot, name) = match name.trim() {
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
                _ => return Err(E::UnknownField { position }),
            };
            if slot.replace(value.trim()).is_some() {
                return Err(E::Duplicate(name));
            }
        }
        let host = host.ok_or(E::Missing("HostName"))?;
        let device = device.ok_or(E::Missing("DeviceId"))?;
        let key = key.ok_or(E::Missing("SharedAccessKey"))?;
        Ok(Self {
            hostname: HostPort::parse(host).map_err(|_| E::Host("HostName"))?,
            device_id: DeviceId::new(device).map_err(|_| E::DeviceId)?,
            key: SymmetricKey::from_base64(key).map_err(E::Key)?,
            gateway_hostname: gateway
                .map(HostPort::parse)
                .transpose()
                .map_err(|_| E::Host("GatewayHostName"))?,
        })
    }

    /// Returns the text for other software. Never log it.
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

    const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn plain_and_gateway_forms_are_read() {
        let text = format!("HostName=contoso.azure-devices.net;DeviceId=dev1;SharedAccessKey={K32}");
        let pasted = text.replace(';', ";\n ");
        let parsed = DeviceConnectionString::read(format!("\u{feff} {pasted}\n").as_bytes()).unwrap();
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
        assert_eq!(error("HostName=h;Other=i"), E::UnknownField { position: 2 });
        assert_eq!(error(&format!("{K32}\n")), E::BareKey);
        assert_eq!(error(&format!("\u{feff}{K32}")), E::BareKey);
        assert!(error(K32).to_string().contains("store it as primaryKey"));
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
}
