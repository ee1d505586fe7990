//! A device whose connection runs over a script.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lanyard_handoff::config::{Device, Dps, Hub, Telemetry};
use lanyard_handoff::status::{ConnectionReason, DeviceStatus};
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::{DeviceId, IdScope};
use lanyard_protocol::hub::key::SymmetricKey;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::buffer::store::{Buffer, SharedBuffers};
use crate::clock;
use crate::config::certificate::Certificate;
use crate::config::credential::Credential;
use crate::config::credentials::{Credentials, CredentialsError};
use crate::environment::Environment;
use crate::messages::outbox::Outbox;
use crate::mqtt::trust::Trust;
use crate::scratch_folder::ScratchFolder;
use crate::session::connection::Connection;
use crate::session::tests::script::{Answer, Script};
use crate::status::device::DeviceState;
use crate::stop::{self, Stopper};
use crate::tags::event::{Event, Value};

pub(super) const DEVICE: &str = "dev1";
pub(super) const SCOPE: &str = "0ne00ABCDEF";

type CredentialsResult = Result<Arc<Credentials>, Arc<CredentialsError>>;

thread_local!(static STARTED: Cell<Option<Instant>> = const { Cell::new(None) });

/// Returns the time of a wall clock that follows virtual time, from 2027-01-15T08:30:00Z on.
fn now() -> Timestamp {
    let elapsed = STARTED.get().expect("a rig is there").elapsed();
    let start: Timestamp = "2027-01-15T08:30:00Z".parse().unwrap();
    start + SignedDuration::try_from(elapsed).unwrap()
}

/// Creates a key whose base64 begins with the letter `name`.
pub(super) fn credential(name: char) -> Arc<Credential> {
    let key = SymmetricKey::from_base64(&format!("{name}{}=", "A".repeat(42)));
    Arc::new(Credential::of_key(key.unwrap()))
}

/// Creates a certificate with its own key, valid from the beginning of one day to that of another.
fn certificate(begin: (i32, u8, u8), end: (i32, u8, u8)) -> Arc<Credential> {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.not_before = rcgen::date_time_ymd(begin.0, begin.1, begin.2);
    params.not_after = rcgen::date_time_ymd(end.0, end.1, end.2);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let parsed = Certificate::parse(pem.as_bytes(), key.serialize_pem().as_bytes());
    Arc::new(Credential::of_certificate(parsed.unwrap()))
}

/// Creates the credentials for letters: `X` is an expired certificate, `Y` one that is valid 15 and a half hours after
/// the start, `Z` a valid one, and the others are keys.
fn credentials(names: &str) -> CredentialsResult {
    let of = |name| match name {
        'X' => certificate((2000, 1, 1), (2001, 1, 1)),
        'Y' => certificate((2027, 1, 16), (2100, 1, 1)),
        'Z' => certificate((2000, 1, 1), (2100, 1, 1)),
        name => credential(name),
    };
    let offered = names.chars().map(of).collect();
    Ok(Arc::new(Credentials { offered, problem: None, ca: None, ca_path: PathBuf::new() }))
}

fn unreadable() -> CredentialsResult {
    Err(Arc::new(CredentialsError::Missing { path: PathBuf::from("sharedAccessKey") }))
}

/// Parameters of a rig.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// Letters of the credentials, newest first; none for unreadable ones.
    pub(super) credentials: &'static str,
    /// True if DPS assigns the hub.
    pub(super) dps: bool,
    pub(super) chance: fn() -> f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { credentials: "A", dps: false, chance: || 0.0 }
    }
}

pub(super) struct Rig {
    script: Script,
    state: DeviceState,
    config: watch::Sender<Arc<Device>>,
    credentials: watch::Sender<CredentialsResult>,
    stopper: Option<Stopper>,
    task: JoinHandle<()>,
    _folder: ScratchFolder,
}

impl Rig {
    /// Creates a device with key A at a hub, without random waits.
    pub(super) fn new<const N: usize>(answers: [Answer; N]) -> Self {
        Self::with(Settings::default(), answers)
    }

    pub(super) fn with<const N: usize>(settings: Settings, answers: [Answer; N]) -> Self {
        STARTED.set(Some(Instant::now()));
        let script = Script::new(answers);
        let device = device(settings.dps);
        let buffer = Buffer::in_memory(&device.buffer, &SharedBuffers::default());
        let state = DeviceState::new(DEVICE, DEVICE, Outbox::new(buffer, 0), now()).unwrap();
        let (config, config_watch) = watch::channel(Arc::new(device));
        let held =
            if settings.credentials.is_empty() { unreadable() } else { credentials(settings.credentials) };
        let (credentials, credentials_watch) = watch::channel(held);
        let (stopper, stop) = stop::channel();
        let folder = ScratchFolder::new();
        let connection = Connection {
            transport: script.clone(),
            environment: Environment::new(now, settings.chance),
            status: Arc::clone(&state.connection),
            outbox: Arc::clone(&state.outbox),
            config: config_watch,
            credentials: credentials_watch,
            trust: Trust::new(None).unwrap(),
            token_lifetime: Duration::from_secs(3600),
            keep_alive: Duration::from_secs(60),
            credential_retry: Duration::from_secs(3600),
            folder: folder.path().to_owned(),
            stop,
        };
        let task = tokio::spawn(connection.run());
        Self { script, state, config, credentials, stopper: Some(stopper), task, _folder: folder }
    }

    /// Lets time pass until so many seconds after the start of the test.
    pub(super) async fn until(&self, second: u64) {
        let started = STARTED.get().expect("this is a rig");
        tokio::time::sleep_until(started + Duration::from_secs(second)).await;
        // What is due at the same moment happens before this returns.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Lets time pass, and returns what happened since the last call.
    pub(super) async fn log_until(&self, second: u64) -> Vec<String> {
        self.until(second).await;
        self.script.take_log()
    }

    pub(super) fn status(&self) -> DeviceStatus {
        self.state.status()
    }

    pub(super) fn reason(&self) -> ConnectionReason {
        self.status().connection.reason
    }

    /// Appends an event, which becomes a message at the next interval.
    pub(super) fn append(&self) {
        let (tag, time) = (Arc::from("t"), now().as_millisecond());
        let event = Event { tag, value: Value::Integer(1), good: true, continues: false, time };
        self.state.outbox.append(&[event], clock::instant());
    }

    /// Returns the body of the newest message.
    pub(super) fn body(&self) -> String {
        self.script.body()
    }

    pub(super) fn is_delivered(&self) -> bool {
        self.state.outbox.lock().is_empty()
    }

    pub(super) fn configure(&self, telemetry: Telemetry) {
        let device = Device { telemetry, ..Device::clone(&self.config.borrow()) };
        drop(self.config.send_replace(Arc::new(device)));
    }

    pub(super) fn set_credentials(&self, names: &str) {
        drop(self.credentials.send_replace(credentials(names)));
    }

    pub(super) fn drop_stopper(&mut self) {
        self.stopper = None;
    }

    /// Requests the stop, and returns what happens until the end, and its time.
    pub(super) async fn stop(mut self, limit: u64) -> Vec<String> {
        self.script.note("stop");
        self.stopper.take().expect("a rig is stopped once").stop(Duration::from_secs(limit));
        (&mut self.task).await.unwrap();
        self.script.note("end");
        let reason = self.reason();
        assert_eq!(reason, ConnectionReason::ShuttingDown);
        self.script.take_log()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn device(dps: bool) -> Device {
    let host = |name: &str| HostPort::parse(name).unwrap();
    Device {
        name: DEVICE.to_owned(),
        device_id: DeviceId::new(DEVICE).unwrap(),
        uid: None,
        model_id: None,
        hub: (!dps).then(|| Hub { hostname: host("hub"), gateway_hostname: None }),
        dps: dps.then(|| Dps {
            endpoint: host("dps"),
            id_scope: IdScope::new(SCOPE).unwrap(),
            registration_id: None,
        }),
        sources: Vec::new(),
        tags: Vec::new(),
        telemetry: Default::default(),
        buffer: Default::default(),
        last_will: None,
    }
}
