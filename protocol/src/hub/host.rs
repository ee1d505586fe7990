//! Address of a hub, DPS or gateway: `host` or `host:port`. Pure.

use serde::{Deserialize, Serialize};

/// Port of MQTT over TLS at hub and DPS (ref §1.1).
pub const MQTT_TLS_PORT: u16 = 8883;

/// Error of a text that is not a host with an optional port.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HostError {
    /// The host is missing.
    #[error("host name is empty")]
    Empty,
    /// The host has an invalid character, or an empty or overlong label.
    #[error("{host:?} is not a host name: use letters, digits, '-' and '.', without a scheme or a path")]
    Host {
        /// The text that was taken for the host.
        host: String,
    },
    /// The text after the colon is not a port.
    #[error("{port:?} is not a port: use a number from 1 to 65535")]
    Port {
        /// The text that was taken for the port.
        port: String,
    },
}

/// DNS name or IPv4 address with a port. The default port is [`MQTT_TLS_PORT`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// Reads `host` or `host:port`.
    ///
    /// # Errors
    /// [`HostError`] names the wrong part.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.contains("://") {
            return Err(HostError::Host { host: text.to_owned() });
        }
        let (host, port) = match text.split_once(':') {
            None => (text, MQTT_TLS_PORT),
            Some((host, port)) => {
                let number =
                    port.parse().ok().filter(|&n| n != 0 && port.bytes().all(|b| b.is_ascii_digit()));
                (host, number.ok_or_else(|| HostError::Port { port: port.to_owned() })?)
            }
        };
        if host.is_empty() {
            return Err(HostError::Empty);
        }
        let label_is_good = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if host.len() > 253 || !host.split('.').all(label_is_good) {
            return Err(HostError::Host { host: host.to_owned() });
        }
        Ok(Self { host: host.to_owned(), port })
    }

    /// Returns the name without the port, for user names and tokens (ref §1.2, §2.2).
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.port == MQTT_TLS_PORT {
            f.write_str(&self.host)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl std::str::FromStr for HostPort {
    type Err = HostError;
    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for HostPort {
    type Error = HostError;
    fn try_from(text: String) -> Result<Self, HostError> {
        Self::parse(&text)
    }
}

impl From<HostPort> for String {
    fn from(value: HostPort) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn port_is_optional() {
        let plain = HostPort::parse("contoso.azure-devices.net").unwrap();
        assert_eq!((plain.host(), plain.port()), ("contoso.azure-devices.net", 8883));
        let other = HostPort::parse("localhost:18883").unwrap();
        assert_eq!(
            (other.host(), other.port(), other.to_string()),
            ("localhost", 18883, "localhost:18883".into())
        );
        assert_eq!(String::from(other), "localhost:18883");
    }

    #[test]
    fn invalid_host_is_refused() {
        assert_eq!(HostPort::parse(""), Err(HostError::Empty));
        assert_eq!(HostPort::parse(":1"), Err(HostError::Empty));
        assert_eq!(HostPort::parse("https://hub"), Err(HostError::Host { host: "https://hub".to_owned() }));
        for bad in ["hub:0", "hub:+1", "hub:65536", "hub:", "hub/x", "a..b", "a b"] {
            assert!(HostPort::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn host_has_at_most_253_characters() {
        let host = |last: usize| format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(last));
        for (last, good) in [(61, true), (62, false)] {
            assert_eq!(HostPort::parse(&host(last)).is_ok(), good, "{}", host(last).len());
        }
        for (label, good) in [(63, true), (64, false)] {
            assert_eq!(HostPort::parse(&"a".repeat(label)).is_ok(), good, "{label}");
        }
    }

    proptest! {
        #[test]
        fn text_and_value_agree(text in "[a-z0-9.:-]{0,40}") {
            if let Ok(value) = HostPort::parse(&text) {
                prop_assert_eq!(HostPort::parse(&value.to_string()).unwrap(), value);
            }
        }
    }
}
