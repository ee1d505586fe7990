//! Login at hub and DPS: a token in the CONNECT packet, or none because the TLS handshake presented the certificate
//! (ref §1.2, §8.1). Pure.

use std::time::Duration;

use lanyard_handoff::config::LastWill;
use lanyard_protocol::hub::sas::{REGISTRATION_POLICY, SasToken, device_resource, registration_resource};
use lanyard_protocol::hub::topic;
use lanyard_protocol::hub::user_name::{DpsUserName, HubUserName};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{self as packet, Connect};

use crate::config::credential::{Credential, Proof};
use crate::options::CLIENT;

/// Login of a device.
#[derive(Debug)]
pub struct Login {
    /// The MQTT client id.
    pub client_id: String,
    /// The MQTT user name.
    pub user_name: String,
    /// The MQTT password; none beside a certificate.
    pub token: Option<SasToken>,
    /// True if the server deletes subscriptions when the connection ends.
    pub clean_session: bool,
    /// Silence after which a ping is sent.
    pub keep_alive: Duration,
    /// Hints for the case that the server refuses the device.
    pub checks: String,
    /// Message that the server sends if the connection ends unexpectedly.
    pub will: Option<Will>,
}

/// Last will: the message that the hub sends on behalf of the device, with QoS 1 (ref §1.7).
#[derive(Debug)]
pub struct Will {
    topic: String,
    payload: String,
}

impl Will {
    /// Creates the last will of a device.
    #[must_use]
    pub fn of(device_id: &str, will: &LastWill) -> Self {
        Self { topic: topic::telemetry(device_id, &will.bag()), payload: will.payload.clone() }
    }
}

impl Login {
    /// Creates the login of a device at its hub; with a key, the token expires at `expiry`.
    #[must_use]
    pub fn at_hub(
        credential: &Credential,
        host: &str,
        device_id: &str,
        model_id: Option<&str>,
        expiry: u64,
        keep_alive: Duration,
    ) -> Self {
        let checks = match &credential.proof {
            Proof::Key(_) => "that sharedAccessKey is its primary or secondary key".to_owned(),
            Proof::Certificate(certificate) => format!(
                "that the hub knows its certificate, whose SHA-256 thumbprint is {}, or has verified the CA that \
                    signed it for the name {device_id:?}, and that tls.crt has every CA between the two",
                certificate.fingerprint
            ),
        };
        Self {
            client_id: device_id.to_owned(),
            user_name: HubUserName::of_device(host, device_id, model_id, CLIENT).to_string(),
            token: token(credential, &device_resource(host, device_id), expiry, None),
            clean_session: false,
            keep_alive,
            checks,
            will: None,
        }
    }

    /// Creates the login of a device at DPS; with a key, the token expires at `expiry`.
    #[must_use]
    pub fn at_dps(
        credential: &Credential,
        id_scope: &str,
        registration_id: &str,
        expiry: u64,
        keep_alive: Duration,
    ) -> Self {
        let resource = registration_resource(id_scope, registration_id);
        let checks = match &credential.proof {
            Proof::Key(_) => {
                "that the key is the one of the enrollment, or is derived from the key of its group"
                    .to_owned()
            }
            Proof::Certificate(certificate) => format!(
                "that it knows the certificate, whose SHA-256 thumbprint is {}, or its group has a verified CA that \
                    signed it for the name {registration_id:?}, and that tls.crt has every CA between the two",
                certificate.fingerprint
            ),
        };
        Self {
            client_id: registration_id.to_owned(),
            user_name: DpsUserName::of_device(id_scope, registration_id, CLIENT).to_string(),
            token: token(credential, &resource, expiry, Some(REGISTRATION_POLICY)),
            clean_session: true,
            keep_alive,
            checks,
            will: None,
        }
    }

    /// Returns the CONNECT packet.
    pub(crate) fn connect(&self) -> Connect {
        let mut connect = Connect::new(self.client_id.clone());
        connect.clean_session = self.clean_session;
        connect.keep_alive = u16::try_from(self.keep_alive.as_secs()).unwrap_or(u16::MAX);
        connect.last_will = self
            .will
            .as_ref()
            .map(|will| packet::LastWill::new(&will.topic, will.payload.as_bytes(), QoS::AtLeastOnce, false));
        // The library writes no password for an empty one, which is what a certificate needs.
        connect.set_login(self.user_name.clone(), self.token.as_ref().map_or("", SasToken::expose));
        connect
    }
}

fn token(credential: &Credential, resource: &str, expiry: u64, policy: Option<&str>) -> Option<SasToken> {
    match &credential.proof {
        Proof::Key(key) => Some(SasToken::sign(key, resource, expiry, policy)),
        Proof::Certificate(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::certificate::Certificate;
    use lanyard_protocol::hub::key::SymmetricKey;

    const KEEP_ALIVE: Duration = Duration::from_secs(240);

    fn bytes(login: &Login) -> String {
        // The vectors have no word about the client.
        let client = login.user_name.find("&DeviceClientType").unwrap_or(login.user_name.len());
        let mut connect = login.connect();
        connect.login.as_mut().unwrap().username.truncate(client);
        let mut bytes = bytes::BytesMut::new();
        connect.write(&mut bytes).unwrap();
        hex::encode(&bytes)
    }

    fn certificate() -> Credential {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let parsed = Certificate::parse(pem.as_bytes(), key.serialize_pem().as_bytes());
        Credential::of_certificate(parsed.unwrap())
    }

    /// Appendix A: flags 80, a user name and no password.
    #[test]
    fn a_certificate_logs_in_without_a_password() {
        let login = Login::at_hub(&certificate(), "contoso.azure-devices.net", "dev1", None, 0, KEEP_ALIVE);
        assert_eq!(
            bytes(&login),
            "104800044d515454048000f00004646576310036636f6e746f736f2e617a7572652d646576696365732e6e65742f646576312f3f6170692d76657273696f6e3d323032312d30342d3132"
        );
        assert!(Login::at_dps(&certificate(), "0ne", "dev1", 0, KEEP_ALIVE).token.is_none());
        assert!(login.checks.contains("SHA-256 thumbprint"), "{}", login.checks);
    }

    /// Flags 80 become 8C, a will with QoS 1; its topic and body are between client id and user name (MQTT 3.1.1 §3.1.3).
    #[test]
    fn a_will_stands_in_the_login() {
        let properties = [("why".to_owned(), "cable/cut".to_owned())].into();
        let content_type = Some("application/json".to_owned());
        let will = LastWill { payload: "{}".to_owned(), properties, content_type, content_encoding: None };
        let mut login = Login::at_hub(&certificate(), "h", "dev1", None, 0, KEEP_ALIVE);
        login.will = Some(Will::of("dev1", &will));
        let topic = "devices/dev1/messages/events/%24.ct=application%2Fjson&why=cable%2Fcut";
        let expected = format!("00046465763100{:02x}{}00027b7d", topic.len(), hex::encode(topic));
        let bytes = bytes(&login);
        assert!(bytes.contains("00044d515454048c00f0") && bytes.contains(&expected), "{bytes}\n{expected}");
    }

    /// Appendix A, with token B of §2.5: flags C0.
    #[test]
    fn a_key_logs_in_with_a_token() {
        let key = SymmetricKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let key = Credential::of_key(key);
        let login = Login::at_hub(&key, "contoso.azure-devices.net", "dev1", None, 1_700_000_000, KEEP_ALIVE);
        let (head, tail) = (
            "10d40100044d51545404c000f00004646576310036636f6e746f736f2e617a7572652d646576696365732e6e65742f646576312f3f6170692d76657273696f6e3d323032312d30342d3132008a",
            "2673653d31373030303030303030",
        );
        let bytes = bytes(&login);
        assert!(bytes.starts_with(head) && bytes.ends_with(tail), "{bytes}");
    }
}
