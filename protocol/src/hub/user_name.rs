//! MQTT user name of a device at a hub (ref §1.2) or DPS (ref §8.1). Pure.

use percent_encoding::percent_decode_str;

use super::property_bag::encode;

/// api-version of the agent at a hub (ref §0.2).
pub const HUB_API_VERSION: &str = "2021-04-12";
/// api-version of the agent at DPS (ref §0.2).
pub const DPS_API_VERSION: &str = "2019-03-31";

/// Error of a text that is not a user name for a hub or DPS.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UserNameError {
    /// The host, id scope or device is missing.
    #[error(
        "the user name is neither {{hub}}/{{device}}/?api-version=… nor {{idScope}}/registrations/{{id}}/api-version=…"
    )]
    Shape,
    /// A parameter that is not percent-encoded UTF-8.
    #[error("the user name's parameter {0:?} is not percent-encoded UTF-8")]
    Encoding(String),
}

/// User name, split into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserName {
    /// User name for a hub.
    Hub(HubUserName),
    /// User name for DPS.
    Dps(DpsUserName),
}

impl UserName {
    /// Reads a user name. Its form distinguishes hub and DPS (ref §14.1).
    ///
    /// # Errors
    /// [`UserNameError`] for other texts.
    pub fn parse(text: &str) -> Result<Self, UserNameError> {
        match text.split_once('/') {
            Some((_, rest)) if rest.starts_with("registrations/") => DpsUserName::parse(text).map(Self::Dps),
            Some(_) => HubUserName::parse(text).map(Self::Hub),
            None => Err(UserNameError::Shape),
        }
    }
}

/// `{hub}/{device}[/{module}]/?api-version=…&model-id=…&DeviceClientType=…`; host and ids are not percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUserName {
    /// Name of the hub, also for a connection to a gateway. It may have a port, because Node writes one (ref §14.1).
    pub host: String,
    /// Device id, not validated.
    pub device_id: String,
    /// Module id, not validated.
    pub module_id: Option<String>,
    /// api-version; absent for old clients (ref §1.2).
    pub api_version: Option<String>,
    /// Model id for IoT Plug and Play.
    pub model_id: Option<String>,
    /// Free text of the client.
    pub client_type: Option<String>,
}

impl HubUserName {
    /// Returns the user name of an agent's device.
    #[must_use]
    pub fn of_device(host: &str, device_id: &str, model_id: Option<&str>, client_type: &str) -> Self {
        Self {
            host: host.to_owned(),
            device_id: device_id.to_owned(),
            module_id: None,
            api_version: Some(HUB_API_VERSION.to_owned()),
            model_id: model_id.map(str::to_owned),
            client_type: Some(client_type.to_owned()),
        }
    }

    /// Reads every form of the reference, including old ones. A device id may contain `?`, so the parameters start at
    /// the last `/?` before a list of parameters.
    ///
    /// # Errors
    /// [`UserNameError`] when host or device is missing or a parameter is not percent-encoded UTF-8.
    pub fn parse(text: &str) -> Result<Self, UserNameError> {
        let (host, rest) = text.split_once('/').ok_or(UserNameError::Shape)?;
        let (path, query) = split_parameters(rest);
        let (device_id, module_id) = match path.split_once('/') {
            Some((device, module)) => (device, Some(module)),
            None => (path, None),
        };
        let module_is_wrong = module_id.is_some_and(|module| module.is_empty() || module.contains('/'));
        if host.is_empty() || device_id.is_empty() || module_is_wrong {
            return Err(UserNameError::Shape);
        }
        let mut this = Self {
            host: host.to_owned(),
            device_id: device_id.to_owned(),
            module_id: module_id.map(str::to_owned),
            api_version: None,
            model_id: None,
            client_type: None,
        };
        for (name, value) in parameters(query) {
            match name {
                "api-version" => this.api_version = Some(decode(name, value)?),
                "model-id" => this.model_id = Some(decode(name, value)?),
                "DeviceClientType" => this.client_type = Some(decode(name, value)?),
                _ => {}
            }
        }
        Ok(this)
    }
}

impl std::fmt::Display for HubUserName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/", self.host, self.device_id)?;
        if let Some(module) = &self.module_id {
            write!(f, "{module}/")?;
        }
        let parameters = [
            ("api-version", &self.api_version),
            ("DeviceClientType", &self.client_type),
            ("model-id", &self.model_id),
        ];
        let mut separator = '?';
        for (name, value) in parameters {
            if let Some(value) = value {
                write!(f, "{separator}{name}={}", encode(value))?;
                separator = '&';
            }
        }
        Ok(())
    }
}

/// `{idScope}/registrations/{registrationId}/api-version=…&ClientVersion=…`, without a `?` (ref §8.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpsUserName {
    /// Id scope of the DPS instance, not validated.
    pub id_scope: String,
    /// Registration id, not validated.
    pub registration_id: String,
    /// api-version of the client.
    pub api_version: Option<String>,
    /// Free text of the client.
    pub client_version: Option<String>,
}

impl DpsUserName {
    /// Returns the user name of an agent's device.
    #[must_use]
    pub fn of_device(id_scope: &str, registration_id: &str, client_version: &str) -> Self {
        Self {
            id_scope: id_scope.to_owned(),
            registration_id: registration_id.to_owned(),
            api_version: Some(DPS_API_VERSION.to_owned()),
            client_version: Some(client_version.to_owned()),
        }
    }

    /// Reads the form of ref §8.1. Accepts a `?` before the parameters.
    ///
    /// # Errors
    /// [`UserNameError`] when a part is missing or a parameter is not percent-encoded UTF-8.
    pub fn parse(text: &str) -> Result<Self, UserNameError> {
        let (id_scope, rest) = text.split_once("/registrations/").ok_or(UserNameError::Shape)?;
        let (registration_id, query) = rest.split_once('/').unwrap_or((rest, ""));
        if id_scope.is_empty() || registration_id.is_empty() {
            return Err(UserNameError::Shape);
        }
        let mut this = Self {
            id_scope: id_scope.to_owned(),
            registration_id: registration_id.to_owned(),
            api_version: None,
            client_version: None,
        };
        for (name, value) in parameters(query.strip_prefix('?').unwrap_or(query)) {
            match name {
                "api-version" => this.api_version = Some(decode(name, value)?),
                "ClientVersion" => this.client_version = Some(decode(name, value)?),
                _ => {}
            }
        }
        Ok(this)
    }
}

impl std::fmt::Display for DpsUserName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/registrations/{}/", self.id_scope, self.registration_id)?;
        let mut separator = "";
        for (name, value) in [("api-version", &self.api_version), ("ClientVersion", &self.client_version)] {
            if let Some(value) = value {
                write!(f, "{separator}{name}={}", encode(value))?;
                separator = "&";
            }
        }
        Ok(())
    }
}

/// Splits `{path}/?{parameters}`, `{path}/api-version=…` (legacy) or a bare path.
fn split_parameters(text: &str) -> (&str, &str) {
    let starts_parameters = |query: &str| query.split('&').next().is_some_and(|first| first.contains('='));
    if let Some((at, _)) = text.rmatch_indices("/?").find(|&(at, _)| starts_parameters(&text[at + 2..])) {
        return (&text[..at], &text[at + 2..]);
    }
    match text.rsplit_once('/') {
        Some((path, last)) if last.starts_with("api-version=") => (path, last),
        Some((path, "" | "?")) => (path, ""),
        _ => (text, ""),
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

fn decode(name: &str, value: &str) -> Result<String, UserNameError> {
    percent_decode_str(value)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| UserNameError::Encoding(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hub(text: &str) -> HubUserName {
        match UserName::parse(text).unwrap() {
            UserName::Hub(name) => name,
            UserName::Dps(name) => unreachable!("{name:?}"),
        }
    }

    /// Ref §1.2 and appendix F, as captured from Microsoft's SDKs.
    #[test]
    fn captured_hub_names_are_read() {
        let node = hub(
            "contoso.azure-devices.net/dev2/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18.4%20(node%20v20.20.2%3B%20Debian%2012%3B%20x64)",
        );
        assert_eq!((node.host.as_str(), node.device_id.as_str()), ("contoso.azure-devices.net", "dev2"));
        assert_eq!(
            node.client_type.as_deref(),
            Some("azure-iot-device/1.18.4 (node v20.20.2; Debian 12; x64)")
        );

        let raw = hub(
            "localhost:18883/dev1/?api-version=2021-04-12&model-id=dtmi:com:example:Thermostat;1&DeviceClientType=azure-iot-device%2F1.18.4%20(node%E2%80%A6%3B%20x64)myprod%2F1.0",
        );
        assert_eq!(
            (raw.host.as_str(), raw.model_id.as_deref()),
            ("localhost:18883", Some("dtmi:com:example:Thermostat;1"))
        );

        let python = hub(
            "localhost/dev1/?api-version=2020-09-30&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1",
        );
        assert_eq!(python.model_id.as_deref(), Some("dtmi:com:example:Thermostat;1"));
    }

    #[test]
    fn legacy_and_module_forms_are_read() {
        assert_eq!(hub("host/dev").api_version, None);
        assert_eq!(hub("host/dev/api-version=2016-11-14").api_version.as_deref(), Some("2016-11-14"));
        let module = hub("host/dev/mod/?api-version=2021-04-12");
        assert_eq!((module.device_id.as_str(), module.module_id.as_deref()), ("dev", Some("mod")));
        assert_eq!(hub("host/dev/mod").module_id.as_deref(), Some("mod"));
        assert_eq!(hub("host/a%b#c?d/?api-version=1").device_id, "a%b#c?d");
        assert_eq!(hub("host/dev/").device_id, "dev");
        for bad in ["", "host", "/dev", "host/", "host//mod", "host/d/m/x/?api-version=1"] {
            assert_eq!(UserName::parse(bad), Err(UserNameError::Shape), "{bad:?}");
        }
    }

    #[test]
    fn ours_have_the_documented_form() {
        let name = HubUserName::of_device(
            "contoso.azure-devices.net",
            "dev1",
            Some("dtmi:contoso:Press;1"),
            "lanyard/0.1",
        );
        assert_eq!(
            name.to_string(),
            "contoso.azure-devices.net/dev1/?api-version=2021-04-12&DeviceClientType=lanyard%2F0.1&model-id=dtmi%3Acontoso%3APress%3B1"
        );
        let name = DpsUserName::of_device("0ne00ABCDEF", "dev-01", "lanyard/0.1");
        assert_eq!(
            name.to_string(),
            "0ne00ABCDEF/registrations/dev-01/api-version=2019-03-31&ClientVersion=lanyard%2F0.1"
        );
    }

    /// Ref §8.1 and appendix F.
    #[test]
    fn captured_dps_names_are_read() {
        let text = "0ne00111111/registrations/dev1/api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1";
        let Ok(UserName::Dps(name)) = UserName::parse(text) else { unreachable!() };
        assert_eq!((name.id_scope.as_str(), name.registration_id.as_str()), ("0ne00111111", "dev1"));
        assert_eq!(name.client_version.as_deref(), Some("azure-iot-provisioning-device/1.9.1"));
        assert_eq!(name.to_string(), text);
        for bad in ["/registrations/dev1/", "0ne1/registrations/", "0ne1/registrations//api-version=1"] {
            assert_eq!(DpsUserName::parse(bad), Err(UserNameError::Shape), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn user_name_without_a_device_is_refused(host in "[a-z]{1,8}", tail in "[a-z0-9&=%.: -]{0,40}") {
            prop_assert!(UserName::parse(&[&host, "//?", &tail].concat()).is_err());
            prop_assert!(UserName::parse(&[host, tail].concat()).is_err());
        }

        #[test]
        fn written_user_name_is_read_back(device in "[A-Za-z0-9:.+%_#*?!(),=@;$'-]{1,40}", model in proptest::option::of("[ -~]{0,20}")) {
            prop_assume!(device != "registrations");
            let name = HubUserName::of_device("hub.example", &device, model.as_deref(), "c/1 (x; y)");
            prop_assert_eq!(hub(&name.to_string()), name);
        }
    }
}
