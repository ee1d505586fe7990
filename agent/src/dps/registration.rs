//! Asking DPS which hub a device belongs to (ref §8). Talks to the network.

use std::sync::Arc;
use std::time::Duration;

use crate::mqtt::QoS;
use bytes::Bytes;
use lanyard_handoff::config::Dps;
use lanyard_handoff::status::ConnectionReason;
use lanyard_protocol::hub::dps::{
    ERROR_ALLOCATION_UNAUTHORIZED, ERROR_NO_HUB, OperationStatus, RegisterRequest, RegistrationState,
    RegistrationStatus, ServiceError,
};
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::DeviceId;
use lanyard_protocol::hub::topic::{DPS_RESPONSES, FromDps, ToDps};

use crate::config::credential::Credential;
use crate::dps::assignment::Assignment;
use crate::mqtt::failure::{Failure, Peer};
use crate::mqtt::link::KEEP_ALIVE;
use crate::mqtt::login::Login;
use crate::mqtt::transport::{Arrival, DeliveryToken, Link, Transport};
use crate::wait::{AskedWait, after};

/// Time for one answer of DPS.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for DPS to assign a hub; a custom allocation calls other services meanwhile.
const ASSIGN_TIMEOUT: Duration = Duration::from_secs(300);
/// The wait between two polls when DPS names none (ref §14.4).
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The shortest wait between two polls, whatever DPS names: an answer "at once" must not keep the agent busy.
const SHORTEST_POLL: Duration = Duration::from_millis(500);
/// The longest operation id that is sent back; Azure's have 55 characters. MQTT's topics end at 65,535 bytes.
const LONGEST_OPERATION_ID: usize = 1024;
/// So many characters of an error text of DPS are kept; more would fill logs and status.
const LONGEST_TEXT: usize = 512;

/// Registration of a device at DPS.
pub struct Registration<'a, T> {
    /// The instance.
    pub dps: &'a Dps,
    /// The name to register under.
    pub registration_id: &'a str,
    /// Announced to the allocation.
    pub model_id: Option<&'a str>,
    /// Credential of the device.
    pub credential: &'a Credential,
    /// Expiry of the token for DPS.
    pub expiry: u64,
    /// Opener of the connection.
    pub transport: &'a T,
}

impl<T: Transport> Registration<'_, T> {
    fn peer(&self) -> Peer {
        Peer { role: "DPS", at: self.dps.endpoint.clone() }
    }

    fn login(&self) -> Login {
        let scope = self.dps.id_scope.as_str();
        Login::at_dps(self.credential, scope, self.registration_id, self.expiry, KEEP_ALIVE)
    }

    /// Registers and waits for the hub.
    ///
    /// # Errors
    /// [`Failure`] says what DPS does not like, and when to ask again.
    pub async fn run(&self, tls: Arc<rustls::ClientConfig>) -> Result<Assignment, Failure> {
        let login = self.login();
        let connected = self.transport.connect(&self.peer(), login, tls).await;
        let mut link = connected.map_err(|failure| self.refused(failure))?;
        let assigned = tokio::time::timeout(ASSIGN_TIMEOUT, self.ask(&mut link)).await;
        let outcome = assigned.unwrap_or_else(|_| Err(self.timeout("assign a hub")));
        if outcome.is_ok() {
            link.close().await;
        }
        outcome
    }

    async fn ask(&self, link: &mut T::Link) -> Result<Assignment, Failure> {
        link.subscribe(DPS_RESPONSES);
        while self.limited(link).await? != Arrival::Subscribed {}
        let body = serde_json::to_vec(&RegisterRequest::new(self.registration_id, self.model_id));
        let mut body = Bytes::from(body.expect("texts only"));
        let mut request = 1_u32;
        let mut operation = String::new();
        loop {
            let rid = request.to_string();
            let topic = match operation.as_str() {
                "" => ToDps::Register { rid: &rid },
                operation_id => ToDps::Poll { rid: &rid, operation_id },
            };
            // The answer counts, not the acknowledgement.
            link.publish(topic.to_string(), QoS::AtLeastOnce, &body, DeliveryToken(0))?;
            let (status, wait, answer) = self.answer(link, &rid).await?;
            match self.read(status, wait, &answer)? {
                RegistrationStep::Assigned(assignment) => return Ok(assignment),
                RegistrationStep::Poll { operation_id } => operation = operation_id,
            }
            idle(link, wait.map_or(POLL_INTERVAL, AskedWait::get).max(SHORTEST_POLL)).await?;
            request = request.wrapping_add(1);
            body = Bytes::from_static(b" ");
        }
    }

    /// Waits for the answer to a request; returns its status, how long the server asks to wait, and its body.
    async fn answer(
        &self,
        link: &mut T::Link,
        rid: &str,
    ) -> Result<(u16, Option<AskedWait>, Bytes), Failure> {
        let reply = async {
            loop {
                let Arrival::Message(message) = link.next().await? else { continue };
                link.acknowledge(&message);
                if let Ok(answer) = FromDps::parse(&message.topic)
                    && answer.rid == rid
                {
                    let wait = answer.retry_after.map(AskedWait::from_secs);
                    return Ok((answer.status, wait, message.payload));
                }
            }
        };
        tokio::time::timeout(ANSWER_TIMEOUT, reply).await.unwrap_or_else(|_| Err(self.timeout("answer")))
    }

    async fn limited(&self, link: &mut T::Link) -> Result<Arrival, Failure> {
        let event = tokio::time::timeout(ANSWER_TIMEOUT, link.next()).await;
        event.unwrap_or_else(|_| Err(self.timeout("answer")))
    }

    fn read(&self, status: u16, wait: Option<AskedWait>, body: &[u8]) -> Result<RegistrationStep, Failure> {
        if status >= 300 {
            let error: Option<ServiceError> = serde_json::from_slice(body).ok();
            let (code, text) = error.map_or((0, String::new()), |error| (error.error_code, error.message));
            return Err(self.service_error(status, code, &text, wait));
        }
        let answer: OperationStatus = serde_json::from_slice(body)
            .map_err(|error| self.failed(&format!("sends an answer that cannot be parsed: {error}")))?;
        if answer.operation_id.len() > LONGEST_OPERATION_ID {
            let length = answer.operation_id.len();
            return Err(
                self.failed(&format!("names an operation id of {length} bytes, which is not an id of Azure"))
            );
        }
        match answer.status {
            RegistrationStatus::Assigning | RegistrationStatus::Unassigned
                if !answer.operation_id.is_empty() =>
            {
                Ok(RegistrationStep::Poll { operation_id: answer.operation_id })
            }
            RegistrationStatus::Assigning | RegistrationStatus::Unassigned => {
                Err(self
                    .failed("assigns no hub: check the enrollment's allocation policy and its linked hubs"))
            }
            RegistrationStatus::Disabled => Err(Failure::new(
                ConnectionReason::EnrollmentDisabled,
                format!(
                    "{}: the enrollment of {:?} is disabled: enable it there",
                    self.peer(),
                    self.registration_id
                ),
            )),
            RegistrationStatus::Failed => {
                let state = answer.registration_state;
                let code = state.as_ref().and_then(|state| state.error_code).unwrap_or(0);
                let text = state.and_then(|state| state.error_message).unwrap_or_default();
                Err(self.service_error(u16::try_from(code / 1000).unwrap_or(0), code, &text, None))
            }
            RegistrationStatus::Assigned => {
                self.assigned(answer.registration_state).map(RegistrationStep::Assigned)
            }
        }
    }

    fn assigned(&self, state: Option<RegistrationState>) -> Result<Assignment, Failure> {
        let (hub, id) = state.map(|state| (state.assigned_hub, state.device_id)).unwrap_or_default();
        let assigned_hub = HostPort::parse(&hub.unwrap_or_default())
            .map_err(|error| self.failed(&format!("assigns a hub with an invalid name: {error}")))?;
        let device_id = DeviceId::new(id.unwrap_or_else(|| self.registration_id.to_owned()))
            .map_err(|error| self.failed(&format!("assigns an invalid device id: {error}")))?;
        Ok(Assignment { assigned_hub, device_id })
    }

    fn failed(&self, what: &str) -> Failure {
        let (peer, id) = (self.peer(), self.registration_id);
        Failure::new(
            ConnectionReason::RegistrationFailed,
            format!("for registration id {id:?}, {peer} {what}"),
        )
    }

    fn timeout(&self, what: &str) -> Failure {
        Failure::new(ConnectionReason::Timeout, format!("{} did not {what} in time", self.peer()))
    }

    fn service_error(&self, status: u16, code: u32, text: &str, wait: Option<AskedWait>) -> Failure {
        let (peer, id, scope) = (self.peer(), self.registration_id, &self.dps.id_scope);
        let text: String = text.chars().take(LONGEST_TEXT).collect();
        let answer = format!("{peer} answered {code} {text:?}");
        let (reason, fix) = match (status, code) {
            (401 | 404, _) => (
                ConnectionReason::RegistrationUnauthorized,
                format!("check that id scope {scope} has an enrollment for {id:?}, and {}", self.login().checks),
            ),
            (_, ERROR_ALLOCATION_UNAUTHORIZED) => (
                ConnectionReason::RegistrationFailed,
                "the device waits for approval or is blocked: approve or unblock it (in IoT Central, under Devices)".to_owned(),
            ),
            (_, ERROR_NO_HUB) => {
                (ConnectionReason::RegistrationFailed, "link a hub to the DPS instance or to the enrollment".to_owned())
            }
            (429, _) => (ConnectionReason::HubUnavailable, "it is busy; the agent asks again later".to_owned()),
            (500.., _) => (ConnectionReason::HubUnavailable, "it failed; the agent asks again later".to_owned()),
            _ => (ConnectionReason::RegistrationFailed, format!("check the enrollment of {id:?}")),
        };
        Failure { retry_after: wait, ..Failure::new(reason, format!("{answer}: {fix}")) }
    }

    /// Returns the failure of a login: a refusal at CONNECT means the same as one after it (ref §8.1).
    fn refused(&self, failure: Failure) -> Failure {
        match failure.reason {
            ConnectionReason::Unauthorized => self.service_error(401, 401_000, "not authorized", None),
            _ => failure,
        }
    }
}

/// Waits, and keeps the connection alive meanwhile.
async fn idle(link: &mut impl Link, time: Duration) -> Result<(), Failure> {
    let over = after(tokio::time::Instant::now(), time);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(over) => return Ok(()),
            event = link.next() => event.map(drop)?,
        }
    }
}

enum RegistrationStep {
    Assigned(Assignment),
    Poll { operation_id: String },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::link::MqttTransport;
    use lanyard_protocol::hub::id::IdScope;
    use lanyard_protocol::hub::key::SymmetricKey;

    fn read(status: u16, body: &str) -> Result<RegistrationStep, Failure> {
        let dps = Dps {
            endpoint: HostPort::parse("dps.example").unwrap(),
            id_scope: IdScope::new("0ne00ABCDEF").unwrap(),
            registration_id: None,
        };
        let key = SymmetricKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let credential = Credential::of_key(key);
        let registration = Registration {
            dps: &dps,
            registration_id: "dev1",
            model_id: None,
            credential: &credential,
            expiry: 0,
            transport: &MqttTransport::new(1),
        };
        registration.read(status, Some(AskedWait::from_secs(3)), body.as_bytes())
    }

    fn reason(status: u16, body: &str) -> ConnectionReason {
        read(status, body).err().unwrap().reason
    }

    /// Bodies of ref §8.2.
    #[test]
    fn assignments_are_read() {
        let body = r#"{"operationId":"5.316a","status":"assigned","registrationState":{"x509":null,"registrationId":"dev1","assignedHub":"contoso.azure-devices.net","deviceId":"dev1","status":"assigned","substatus":"initialAssignment","payload":{"any":"json"}}}"#;
        let Ok(RegistrationStep::Assigned(assignment)) = read(200, body) else { unreachable!() };
        assert_eq!(assignment.assigned_hub.host(), "contoso.azure-devices.net");
        let Ok(RegistrationStep::Poll { operation_id }) =
            read(202, r#"{"operationId":"5.316a","status":"assigning"}"#)
        else {
            unreachable!()
        };
        assert_eq!(operation_id, "5.316a");
    }

    /// Errors of ref §8.2 and §8.3.
    #[test]
    fn errors_have_reasons() {
        use ConnectionReason as R;
        let error =
            |code: u32| format!(r#"{{"errorCode":{code},"trackingId":"t","message":"m","timestampUtc":""}}"#);
        assert_eq!(reason(401, &error(401_002)), R::RegistrationUnauthorized);
        assert_eq!(reason(404, &error(404_201)), R::RegistrationUnauthorized);
        assert_eq!(reason(429, &error(429_001)), R::HubUnavailable);
        assert_eq!(reason(500, "not json"), R::HubUnavailable);
        assert_eq!(reason(400, &error(400_004)), R::RegistrationFailed);
        assert_eq!(reason(200, "[]"), R::RegistrationFailed);
        let disabled = r#"{"operationId":"","status":"disabled","registrationState":{"registrationId":"dev1","status":"disabled"}}"#;
        assert_eq!(reason(200, disabled), R::EnrollmentDisabled);
        let failed = |code: u32| {
            format!(
                r#"{{"operationId":"5","status":"failed","registrationState":{{"registrationId":"dev1","status":"failed","errorCode":{code},"errorMessage":"e"}}}}"#
            )
        };
        assert_eq!(reason(200, &failed(400_207)), R::RegistrationFailed);
        assert_eq!(reason(200, &failed(404_201)), R::RegistrationUnauthorized);
        let approval = read(200, &failed(400_209)).err().unwrap();
        assert!(approval.message.contains("approve"), "{approval:?}");
        assert_eq!(read(429, &error(429_001)).err().unwrap().retry_after, Some(AskedWait::from_secs(3)));
    }

    #[test]
    fn m2_overlong_operation_id_is_refused() {
        let body = |length| format!(r#"{{"operationId":"{}","status":"assigning"}}"#, "5".repeat(length));
        assert!(matches!(read(202, &body(LONGEST_OPERATION_ID)), Ok(RegistrationStep::Poll { .. })));
        let failure = read(202, &body(LONGEST_OPERATION_ID + 1)).err().unwrap();
        assert_eq!(failure.reason, ConnectionReason::RegistrationFailed);
        assert!(failure.message.contains("1025 bytes"), "{failure:?}");
    }

    #[test]
    fn m2_overlong_dps_error_text_is_cut() {
        let body = format!(r#"{{"errorCode":400004,"message":"{}"}}"#, "x".repeat(100_000));
        let failure = read(400, &body).err().unwrap();
        assert!(failure.message.len() < 1024, "{} bytes", failure.message.len());
        // The errors of readers repeat what they read.
        for body in [
            format!(r#"{{"status":"{}"}}"#, "x".repeat(100_000)),
            format!(
                r#"{{"status":"assigned","registrationState":{{"status":"assigned","assignedHub":"{}"}}}}"#,
                "x".repeat(100_000)
            ),
        ] {
            let failure = read(200, &body).err().unwrap();
            assert!(failure.message.len() < 2100, "{} bytes", failure.message.len());
        }
    }
}
