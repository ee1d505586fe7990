//! Destinations of a key: the limits beside it in its Secret, and the DPS endpoints that the administrator allows.
//! Pure.

use lanyard_protocol::hub::connection_string::DeviceConnectionString;
use lanyard_protocol::hub::host::HostPort;

use crate::fault::Fault;
use crate::kubernetes::secret::SecretData;
use crate::reason::Reason;

/// The DPS endpoints of Azure's clouds.
pub const AZURE_ENDPOINTS: [&str; 3] = [
    "*.azure-devices-provisioning.net",
    "*.azure-devices-provisioning.us",
    "*.azure-devices-provisioning.cn",
];

/// Host names to which tokens for DPS may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints(Vec<String>);

impl Default for Endpoints {
    fn default() -> Self {
        Self::new(AZURE_ENDPOINTS.map(str::to_owned).to_vec())
    }
}

impl Endpoints {
    /// Creates a list of host names; `*.` at the beginning matches one or more labels.
    #[must_use]
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// Checks that an endpoint is on the list; `field` is its place.
    ///
    /// # Errors
    /// [`Fault`], when it is not.
    pub fn check(&self, endpoint: &HostPort, field: &str) -> Result<(), Fault> {
        let host = endpoint.host().to_ascii_lowercase();
        let allows = |pattern: &String| match pattern.to_ascii_lowercase().strip_prefix('*') {
            Some(suffix) => suffix.starts_with('.') && host.ends_with(suffix),
            None => pattern.eq_ignore_ascii_case(&host),
        };
        if self.0.iter().any(allows) {
            return Ok(());
        }
        let message = format!(
            "{field}: {endpoint} is not in the list of DPS endpoints that this operator trusts: correct it, or have the \
                administrator add the host to operator.dpsEndpoints of the chart (--dps-endpoint)"
        );
        Err(Fault::new(Reason::EndpointNotAllowed, message))
    }
}

/// Destination of a key.
#[derive(Debug, Clone, Copy)]
pub enum KeyDestination<'a> {
    /// To a hub, or to a gateway in front of it.
    Hub {
        /// The hub.
        hostname: &'a HostPort,
        /// The gateway.
        gateway: Option<&'a HostPort>,
    },
    /// To a Device Provisioning Service.
    Dps {
        /// The service.
        endpoint: &'a HostPort,
        /// Its id scope.
        id_scope: &'a str,
    },
}

/// Checks that a Secret lets its key go this way.
///
/// The owner of a Secret may write `hostname`, `gatewayHostname`, `deviceId`, `idScope` and `endpoint` beside the key. Each of them
/// is a limit. A Secret that limits the hub, by `hostname` or by a connection string, allows a gateway only by name, and no DPS; one
/// that names `idScope` or `endpoint` allows no hub. No message repeats a value of the Secret.
///
/// # Errors
/// [`Fault`], which names the first field that differs.
pub fn check(
    secret: &str,
    data: &SecretData,
    destination: KeyDestination<'_>,
    device_id: Option<&str>,
) -> Result<(), Fault> {
    let limit = |key: &str| data.text(key).map(|text| text.trim().to_owned());
    let refuse = |key: &str, destination: &str| {
        let message = format!(
            "Secret {secret:?} limits the destinations of its key: its {key} does not allow {destination}; correct the \
                object, or have the owner of the Secret change {key}"
        );
        Err(Fault::new(Reason::DestinationNotAllowed, message))
    };
    let string = data.text("connectionString").and_then(|text| DeviceConnectionString::parse(&text).ok());
    if let (Some(limit), Some(id)) = (limit("deviceId"), device_id)
        && limit != id
    {
        return refuse("deviceId", &format!("device id {id}"));
    }
    match destination {
        KeyDestination::Hub { hostname, gateway } => {
            if let Some(key) = ["idScope", "endpoint"].into_iter().find(|key| limit(key).is_some()) {
                return refuse(key, "a hub without DPS");
            }
            if limit("hostname").is_some_and(|limit| !is_host(&limit, hostname)) {
                return refuse("hostname", &format!("hub.hostname {hostname}"));
            }
            let Some(gateway) = gateway else { return Ok(()) };
            let named = limit("gatewayHostname");
            let in_string = string.as_ref().and_then(|string| string.gateway_hostname.as_ref());
            let allowed = match (&named, in_string) {
                (Some(named), _) => is_host(named, gateway),
                (None, Some(named)) => is_same(named, gateway),
                (None, None) => string.is_none() && limit("hostname").is_none(),
            };
            let key =
                if named.is_none() && string.is_some() { "connectionString" } else { "gatewayHostname" };
            if allowed { Ok(()) } else { refuse(key, &format!("hub.gatewayHostname {gateway}")) }
        }
        KeyDestination::Dps { endpoint, id_scope } => {
            if limit("hostname").is_some() {
                return refuse("hostname", "DPS");
            }
            if limit("idScope").is_some_and(|limit| limit != id_scope) {
                return refuse("idScope", &format!("dps.idScope {id_scope}"));
            }
            if limit("endpoint").is_some_and(|limit| !is_host(&limit, endpoint)) {
                return refuse("endpoint", &format!("dps.endpoint {endpoint}"));
            }
            Ok(())
        }
    }
}

/// Returns whether a text of a Secret is this host. A text that is not a host allows nothing.
fn is_host(text: &str, host: &HostPort) -> bool {
    HostPort::parse(text).is_ok_and(|limit| is_same(&limit, host))
}

fn is_same(limit: &HostPort, host: &HostPort) -> bool {
    limit.host().eq_ignore_ascii_case(host.host()) && limit.port() == host.port()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostPort {
        HostPort::parse(text).unwrap()
    }

    fn data(entries: &[(&str, &str)]) -> SecretData {
        entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn endpoints_are_azures_unless_more_are_allowed() {
        let azure = Endpoints::default();
        for (endpoint, allowed) in [
            ("global.azure-devices-provisioning.net", true),
            ("Global.Azure-Devices-Provisioning.us:443", true),
            ("x.azure-devices-provisioning.cn", true),
            ("azure-devices-provisioning.net", false),
            ("evilazure-devices-provisioning.net", false),
            ("global.azure-devices-provisioning.net.evil.example", false),
            ("localhost", false),
        ] {
            let checked = azure.check(&host(endpoint), "dps.endpoint");
            assert_eq!(checked.is_ok(), allowed, "{endpoint}");
            if let Err(fault) = checked {
                assert_eq!(fault.reason, Reason::EndpointNotAllowed);
                assert!(fault.message.starts_with("dps.endpoint: "), "{}", fault.message);
            }
        }
        let local = Endpoints::new(vec!["LOCALHOST".to_owned(), "*".to_owned()]);
        assert!(local.check(&host("localhost:18883"), "").is_ok());
        assert!(local.check(&host("example"), "").is_err(), "a lone * allows nothing");
    }

    fn hub(entries: &[(&str, &str)], gateway: Option<&str>) -> Option<String> {
        let (hostname, gateway) = (host("hub.example"), gateway.map(host));
        let destination = KeyDestination::Hub { hostname: &hostname, gateway: gateway.as_ref() };
        check("s", &data(entries), destination, Some("press")).err().map(|fault| fault.message)
    }

    #[test]
    fn a_key_for_a_hub_goes_only_where_its_secret_allows() {
        const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let string = format!("HostName=hub.example;DeviceId=press;SharedAccessKey={KEY}");
        let behind = format!("{string};GatewayHostName=Edge.example");
        for (entries, gateway, refused) in [
            (&[][..], None, None),
            (&[], Some("edge.example"), None),
            (&[("hostname", "HUB.example\n"), ("deviceId", "press")], None, None),
            (&[("hostname", "other.example")], None, Some("its hostname ")),
            (&[("deviceId", "Press")], None, Some("its deviceId ")),
            (&[("hostname", "hub.example")], Some("evil.example"), Some("its gatewayHostname ")),
            (&[("gatewayHostname", "edge.example")], Some("evil.example"), Some("its gatewayHostname ")),
            (&[("hostname", "hub.example"), ("gatewayHostname", "edge.example")], Some("edge.example"), None),
            (&[("gatewayHostname", "edge.example")], None, None),
            (&[("connectionString", &string)], None, None),
            (&[("connectionString", &string)], Some("evil.example"), Some("its connectionString ")),
            (&[("connectionString", &behind)], Some("edge.example"), None),
            (&[("connectionString", &behind)], Some("evil.example"), Some("its connectionString ")),
            (
                &[("connectionString", &string), ("gatewayHostname", "edge.example")],
                Some("edge.example"),
                None,
            ),
            (&[("idScope", "0ne")], None, Some("its idScope ")),
            (&[("endpoint", "x.example")], None, Some("its endpoint ")),
            (&[("hostname", "no host")], None, Some("its hostname ")),
        ] {
            match (hub(entries, gateway), refused) {
                (None, None) => {}
                (Some(message), Some(words)) => {
                    assert!(message.contains(words), "{message}");
                    for secret in [KEY, "other.example", "Press ", "0ne", "x.example"] {
                        assert!(!message.contains(secret), "{message}");
                    }
                }
                (message, _) => panic!("{entries:?} {gateway:?}: {message:?}"),
            }
        }
    }

    #[test]
    fn a_key_for_dps_goes_only_where_its_secret_allows() {
        let endpoint = host("global.azure-devices-provisioning.net");
        let destination = KeyDestination::Dps { endpoint: &endpoint, id_scope: "0neA" };
        let field = |entries: &[(&str, &str)]| {
            let fault = check("s", &data(entries), destination, None).err()?;
            fault.message.split(": its ").nth(1)?.split(' ').next().map(str::to_owned)
        };
        assert_eq!(
            field(&[("idScope", "0neA"), ("endpoint", "Global.azure-devices-provisioning.net")]),
            None
        );
        for (key, value) in [("idScope", "0neB"), ("endpoint", "evil.example"), ("hostname", "hub.example")] {
            assert_eq!(field(&[(key, value)]).as_deref(), Some(key));
        }
        assert_eq!(field(&[("deviceId", "press")]), None, "a group has no device id");
    }
}
