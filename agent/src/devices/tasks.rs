//! One device's tasks: its sampler, and its connection, which a new identity replaces.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lanyard_handoff::config::Device;
use lanyard_handoff::status::ConnectionReason;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::buffer::store::{self, Buffer};
use crate::clock;
use crate::config::credentials::{Credentials, CredentialsError};
use crate::devices::scan_loop;
use crate::environment::Environment;
use crate::messages::outbox::Outbox;
use crate::mqtt::link::MqttTransport;
use crate::mqtt::trust::Trust;
use crate::random;
use crate::session::connection::Connection;
use crate::status::collector::DeviceCollector;
use crate::status::device::DeviceState;
use crate::stop;
use crate::stop::Stopper;

/// A device's credentials, or why there are none.
pub(super) type CredentialsResult = Result<Arc<Credentials>, Arc<CredentialsError>>;

/// Resources that all devices of the process share.
#[derive(Clone)]
pub(super) struct ProcessResources {
    pub(super) trust: Trust,
    pub(super) token_lifetime: Duration,
    pub(super) keep_alive: Duration,
    pub(super) credential_retry: Duration,
    pub(super) transport: MqttTransport,
    pub(super) buffer: PathBuf,
    /// Memory and disk of all devices' buffers.
    pub(super) buffers: store::SharedBuffers,
    /// Hears of tasks that ended without being asked.
    pub(super) ended: mpsc::UnboundedSender<String>,
}

/// One device's tasks.
pub(super) struct DeviceTasks {
    pub(super) state: Arc<DeviceState>,
    pub(super) collector: DeviceCollector,
    config: watch::Sender<Arc<Device>>,
    credentials: watch::Sender<CredentialsResult>,
    sampler: Task,
    sampler_stop: CancellationToken,
    connection: Option<(Task, Stopper)>,
    shared: ProcessResources,
}

impl DeviceTasks {
    /// Starts a device.
    pub(super) fn start(
        device: Arc<Device>,
        credentials: CredentialsResult,
        shared: ProcessResources,
    ) -> prometheus::Result<Self> {
        let events = shared.buffer.join(&device.name).join("events");
        let buffer = Buffer::open(&events, &device.buffer, &shared.buffers, clock::instant());
        let outbox = Outbox::new(buffer, random::random());
        let state = DeviceState::new(&device.name, device.device_id.as_str(), outbox, clock::timestamp())?;
        let state = Arc::new(state);
        state.set_uid(device.uid.clone());
        let collector = DeviceCollector::new(Arc::clone(&state));
        let (config, config_watch) = watch::channel(device);
        let (credentials, _) = watch::channel(credentials);
        let sampler_stop = CancellationToken::new();
        let sampler =
            scan_loop::run(Arc::clone(&state), config_watch, random::random(), sampler_stop.clone());
        let sampler = Task::spawn(sampler, state.name(), &shared.ended);
        let mut member =
            Self { state, collector, config, credentials, sampler, sampler_stop, connection: None, shared };
        member.connect();
        Ok(member)
    }

    fn connect(&mut self) {
        let (stopper, stop) = stop::channel();
        let connection = Connection {
            transport: self.shared.transport.clone(),
            environment: Environment::system(),
            status: Arc::clone(&self.state.connection),
            outbox: Arc::clone(&self.state.outbox),
            config: self.config.subscribe(),
            credentials: self.credentials.subscribe(),
            trust: self.shared.trust.clone(),
            token_lifetime: self.shared.token_lifetime,
            keep_alive: self.shared.keep_alive,
            credential_retry: self.shared.credential_retry,
            folder: self.shared.buffer.join(self.state.name()),
            stop,
        };
        let task = Task::spawn(connection.run(), self.state.name(), &self.shared.ended);
        self.connection = Some((task, stopper));
    }

    /// Returns whether the device stays the same client of the same hub with a configuration.
    pub(super) fn is_same_client(&self, device: &Device) -> bool {
        let now = self.config.borrow();
        now.device_id == device.device_id
            && now.model_id == device.model_id
            && now.hub == device.hub
            && now.dps == device.dps
            // Only CONNECT carries it to the hub.
            && now.last_will == device.last_will
    }

    /// Takes a configuration that leaves the device the same client: tags and telemetry follow while it runs.
    pub(super) fn reconfigure(&self, device: &Arc<Device>) {
        if **self.config.borrow() == **device {
            return;
        }
        self.state.outbox.lock().configure(&device.buffer, clock::instant());
        self.state.set_uid(device.uid.clone());
        self.config.send_replace(Arc::clone(device));
        tracing::info!(device = self.state.name(), "the configuration changed");
    }

    /// Takes credentials, if they are not those in use.
    pub(super) fn set_credentials(&self, credentials: CredentialsResult) {
        self.credentials.send_if_modified(|current| {
            let differs = *current != credentials;
            if differs {
                *current = credentials;
            }
            differs
        });
    }

    /// Ends the connection; messages in flight get `limit`.
    pub(super) async fn disconnect(&mut self, limit: Duration) {
        if let Some((task, stopper)) = self.connection.take() {
            stopper.stop(limit);
            task.end(limit + GRACE).await;
        }
    }

    /// Begins a new connection with a new configuration; what the old one did not deliver rides on it.
    pub(super) fn reconnect(&mut self, device: &Arc<Device>) {
        self.reconfigure(device);
        self.state.connection.disconnected(ConnectionReason::Renewing, "", clock::timestamp());
        self.connect();
    }

    /// Stops reading, delivers what was read within `limit`, and ends.
    pub(super) async fn stop(mut self, limit: Duration) {
        self.sampler_stop.cancel();
        self.sampler.end(GRACE).await;
        if let Some((task, stopper)) = self.connection.take() {
            stopper.stop(limit);
            task.end(limit + GRACE).await;
        }
        let counts = self.state.outbox.lock().counts();
        let (device, lost, kept) =
            (self.state.name(), counts.volatile, counts.events.saturating_sub(counts.volatile));
        if kept > 0 {
            tracing::info!(
                device,
                "{kept} events were not delivered: they are kept on disk for the next start"
            );
        }
        if lost > 0 {
            tracing::warn!(
                device,
                "{lost} events were not delivered and are lost, because they were in memory only"
            );
        }
    }
}

/// Additional time for a stopped task: DISCONNECT, and closing by the server.
const GRACE: Duration = Duration::from_millis(1500);

/// A task whose end is reported, unless it was asked for.
struct Task {
    handle: JoinHandle<()>,
    asked: CancellationToken,
}

/// Report of a task's end, sent when it is dropped: after a return as well as after a panic.
struct Report {
    name: String,
    asked: CancellationToken,
    ended: mpsc::UnboundedSender<String>,
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.asked.is_cancelled() {
            // The receiver is gone when the process ends.
            let _ = self.ended.send(std::mem::take(&mut self.name));
        }
    }
}

impl Task {
    fn spawn(
        future: impl Future<Output = ()> + Send + 'static,
        name: &str,
        ended: &mpsc::UnboundedSender<String>,
    ) -> Self {
        let asked = CancellationToken::new();
        let report = Report { name: name.to_owned(), asked: asked.clone(), ended: ended.clone() };
        // An async block would keep room for the future twice.
        Self { handle: tokio::spawn(future.map(move |()| drop(report))), asked }
    }

    /// Waits for the end, and enforces it.
    async fn end(self, limit: Duration) {
        self.asked.cancel();
        let mut handle = self.handle;
        if tokio::time::timeout(limit, &mut handle).await.is_err() {
            handle.abort();
            let _ = handle.await;
        }
    }
}
