//! An emulator in memory and raw clients of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lanyard_emulator::clock::Clock;
use lanyard_emulator::config::check;
use lanyard_emulator::connection::handshake;
use lanyard_emulator::connection::handshake::Peer;
use lanyard_emulator::connection::unauthenticated::UnauthenticatedClients;
use lanyard_emulator::controls::change::{Action, Change, ChangeError, Done, Target};
use lanyard_emulator::controls::{apply, faults};
use lanyard_emulator::events::json::line;
use lanyard_emulator::startup;
use lanyard_emulator::startup::Persistent;
use lanyard_emulator::state::EmulatorState;
use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_protocol::hub::sas::SasToken;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bytes::{ACCEPTED, CONNECT_DEV1, Connect, hex};
use crate::pki::Der;

pub(crate) const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const K64: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
pub(crate) const HUB: &str = "contoso.azure-devices.net";

/// Ten thousand seconds before the tokens of the reference end.
pub(crate) const EARLY: i64 = 1_699_990_000;
pub(crate) const END: i64 = 1_700_000_000;

pub(crate) const CONFIG: &str = r"
hubs:
  - hostName: contoso.azure-devices.net
    devices:
      - deviceId: dev1
        authentication: {symmetricKey: {primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,
            secondaryKey: 8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==}}
      - deviceId: off
        status: disabled
        authentication: {symmetricKey: {primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}
      - deviceId: a%b#c+d?e
        authentication: {symmetricKey: {primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}
dps:
  - idScope: 0ne00ABCDEF
    enrollmentGroups:
      - enrollmentGroupId: plant
        attestation:
          type: symmetricKey
          symmetricKey:
            primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==
            secondaryKey: 18RQk/hOPJR9EbsJlk2j8WA6vWaj/yi+oaYg7zmxfQNdOyMSu+SJ8O7TSlZhDJCYmn4rzEiVKIzNiVAWjLxrGA==
    enrollments:
      - registrationId: single
        deviceId: press
        attestation:
          type: symmetricKey
          symmetricKey:
            primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
      - registrationId: halted
        provisioningStatus: disabled
        attestation:
          type: symmetricKey
          symmetricKey:
            primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
      - registrationId: homeless
        iotHubs: []
        attestation:
          type: symmetricKey
          symmetricKey:
            primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
emulator: {retryAfterSeconds: 3}
";

/// Clock that follows tokio's paused time.
#[derive(Debug)]
struct TestClock(Timestamp, Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.0 + self.1.elapsed()
    }
}

#[derive(Clone)]
pub(crate) struct Emulator {
    pub(crate) state: Arc<EmulatorState>,
    stop: CancellationToken,
    unauthenticated: UnauthenticatedClients,
}

impl Emulator {
    pub(crate) fn new() -> Self {
        Self::at(EARLY)
    }

    pub(crate) fn at(second: i64) -> Self {
        Self::with(CONFIG, second, None)
    }

    pub(crate) fn with(config: &str, second: i64, data_dir: Option<&Path>) -> Self {
        let checked = check::read(config, Path::new("/nonexistent")).unwrap();
        let clock = Arc::new(TestClock(Timestamp::from_second(second).unwrap(), Instant::now()));
        let memory = data_dir.map(|dir| Persistent::open(dir).unwrap());
        Self {
            state: Arc::new(startup::build(checked, 8883, clock, memory)),
            stop: CancellationToken::new(),
            unauthenticated: UnauthenticatedClients::default(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(&[])
    }

    /// Connects a client that presented these certificates in its handshake.
    pub(crate) fn client_with(&self, certificates: &[Der]) -> Client {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let peer = Peer { certificates: certificates.to_vec() };
        let client = self.unauthenticated.enter();
        tokio::spawn(handshake::serve(far, peer, self.state.clone(), client, self.stop.clone()));
        Client(near)
    }

    /// Makes a change through the controls.
    pub(crate) fn change(&self, target: Target, action: Action) -> Result<Done, ChangeError> {
        apply::change(&self.state, &Change { target, action }, self.state.clock.now())
    }

    /// Sets a fault through the controls.
    pub(crate) fn put_fault(&self, name: &str, body: &Value) {
        faults::put(&self.state, name, &body.to_string()).unwrap();
    }

    /// Connects and expects to be accepted.
    pub(crate) async fn connected(&self, connect: &Connect) -> Client {
        let mut client = self.client();
        client.send(&connect.bytes()).await;
        client.expect(ACCEPTED).await;
        client
    }

    /// Sends the published CONNECT of `dev1`, and expects to be accepted.
    pub(crate) async fn dev1(&self) -> Client {
        let mut client = self.client();
        client.send(&hex(CONNECT_DEV1)).await;
        client.expect(ACCEPTED).await;
        client
    }

    /// Connects as [`Self::dev1`] does, with or without a session of an earlier connection.
    pub(crate) async fn dev1_again(&self) -> Client {
        let mut client = self.client();
        client.send(&hex(CONNECT_DEV1)).await;
        let (first, rest) = client.packet().await;
        assert_eq!((first, rest[1]), (0x20, 0));
        client
    }

    /// Returns the answer to a CONNECT before the connection is closed.
    pub(crate) async fn refusal(&self, connect: &[u8]) -> String {
        let mut client = self.client();
        client.send(connect).await;
        client.rest().await
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.state
            .events
            .latest(None, 1000)
            .iter()
            .map(|event| serde_json::from_str(&line(event)).unwrap())
            .collect()
    }

    pub(crate) fn last_end(&self, device: &str) -> String {
        let hub = self.state.hubs.find(HUB).unwrap();
        hub.device(device).unwrap().view().last_end.unwrap_or_default()
    }
}

pub(crate) fn key(text: &str) -> SymmetricKey {
    SymmetricKey::from_base64(text).unwrap()
}

pub(crate) fn token(key_text: &str, resource: &str) -> String {
    SasToken::sign(&key(key_text), resource, END.unsigned_abs(), None).expose().to_owned()
}

/// Returns a CONNECT of a device with K32.
pub(crate) fn device(id: &str) -> Connect {
    Connect::new(
        id,
        &format!("{HUB}/{id}/?api-version=2021-04-12"),
        &token(K32, &format!("{HUB}/devices/{id}")),
    )
}

pub(crate) struct Client(DuplexStream);

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("the emulator reads");
    }

    /// Sends what may be too much for an emulator that closes half way.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Reads as many bytes as `hex` says and compares them.
    pub(crate) async fn expect(&mut self, expected: &str) {
        let mut read = vec![0; expected.len() / 2];
        self.0.read_exact(&mut read).await.expect("the emulator answers");
        assert_eq!(to_hex(&read), expected);
    }

    /// Reads one whole packet with a length below 16384; returns its first byte, and the rest behind the length.
    pub(crate) async fn packet(&mut self) -> (u8, Vec<u8>) {
        let first = self.0.read_u8().await.expect("the emulator answers");
        let mut length = usize::from(self.0.read_u8().await.unwrap());
        if length >= 128 {
            length = length - 128 + 128 * usize::from(self.0.read_u8().await.unwrap());
        }
        let mut rest = vec![0; length];
        self.0.read_exact(&mut rest).await.unwrap();
        (first, rest)
    }

    /// Reads a message of QoS 1; returns its topic and body.
    pub(crate) async fn message(&mut self) -> (String, Value) {
        let (first, rest) = self.packet().await;
        assert_eq!(first, 0x32, "a PUBLISH of QoS 1");
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let topic = String::from_utf8(rest[2..2 + length].to_vec()).unwrap();
        (topic, serde_json::from_slice(&rest[4 + length..]).unwrap())
    }

    /// Reads until the emulator closes; returns everything as hexadecimal digits.
    pub(crate) async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        self.0.read_to_end(&mut read).await.expect("the end is not an error");
        to_hex(&read)
    }

    /// Expects that the emulator closes without another byte.
    pub(crate) async fn closed(&mut self) {
        assert_eq!(self.rest().await, "");
    }

    /// Returns the time until the emulator closes the connection, without another byte.
    pub(crate) async fn lasts(&mut self) -> Duration {
        let start = Instant::now();
        self.closed().await;
        start.elapsed()
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
