//! A device's life at its hub: find the hub, log in, publish, and begin again when it ends. Talks to the network.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lanyard_protocol::handoff::config::Device;
use lanyard_protocol::handoff::status::ConnectionReason;
use lanyard_protocol::hub::sas::{SasToken, device_resource};
use lanyard_protocol::hub::user_name::HubUserName;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::assignment::AssignmentFile;
use super::failure::Failure;
use super::link::{Link, Login};
use super::pace::Pace;
use super::session::{Ended, InFlight, Session};
use super::target::{self, Target};
use super::token;
use super::trust::Trust;
use crate::config::credentials::{Credentials, CredentialsError};
use crate::device::metrics::SAS_TOKEN;
use crate::device::state::DeviceState;
use crate::device::stop::Stop;
use crate::options::CLIENT;

/// A device's credentials, or why there are none.
pub type CredentialsWatch = watch::Receiver<Result<Arc<Credentials>, Arc<CredentialsError>>>;

/// What a device's connection needs.
pub struct Connection {
    /// The device, as its readers see it.
    pub state: Arc<DeviceState>,
    /// Its configuration; identity and hub stay the same as long as this connection lives.
    pub config: watch::Receiver<Arc<Device>>,
    /// Its credentials.
    pub credentials: CredentialsWatch,
    /// Whom the process believes.
    pub trust: Trust,
    /// How long tokens live.
    pub token_lifetime: Duration,
    /// Silence after which a ping is sent.
    pub keep_alive: Duration,
    /// Who may dial now.
    pub slots: Arc<Semaphore>,
    /// Where its assignment is remembered.
    pub folder: PathBuf,
    /// When to end.
    pub stop: Stop,
}

/// An accepted connection, not used yet.
struct Opened {
    link: Link,
    target: Target,
    /// When the token that was used is renewed.
    renew_at: Instant,
}

impl Connection {
    /// Keeps the device connected until it is asked to end.
    pub async fn run(mut self) {
        let mut pace = Pace::default();
        let mut last_attempt = false;
        loop {
            let (ended, lasted) = self.attempt().await;
            pace.accepted(lasted);
            let failure = match ended {
                Ended::Stopped => break,
                Ended::Renew => {
                    self.state.disconnected(ConnectionReason::Renewing, "");
                    pace.reset();
                    continue;
                }
                Ended::Outdated => {
                    pace.reset();
                    continue;
                }
                Ended::Failed(failure) => failure,
            };
            tracing::warn!(device = self.state.name, reason = failure.reason.as_str(), "{}", failure.message);
            self.state.disconnected(failure.reason, &failure.message);
            let step = pace.after(failure.reason, failure.retry_after, rand::random());
            if step.ask_dps {
                self.forget_assignment();
            }
            let stop = self.stop.clone();
            tokio::select! {
                () = wait(step.wait) => {}
                changed = self.credentials.changed() => if changed.is_ok() { pace.reset() } else { break },
                () = stop.asked() => {
                    // What the buffer still has is worth one more attempt.
                    if last_attempt || self.state.outbox.lock().is_empty() {
                        break;
                    }
                    last_attempt = true;
                }
            }
        }
        self.state.disconnected(ConnectionReason::ShuttingDown, "");
    }

    /// One connection, from finding the hub to its end, and how long the hub had accepted it.
    async fn attempt(&mut self) -> (Ended, Option<Duration>) {
        let Opened { link, target, renew_at } = match self.open().await {
            Ok(opened) => opened,
            Err(ended) => {
                // Without credentials nothing was attempted.
                if let Ended::Failed(failure) = &ended
                    && failure.reason != ConnectionReason::CredentialsUnreadable
                {
                    self.state.metrics.attempted(failure.reason);
                }
                return (ended, None);
            }
        };
        let accepted = Instant::now();
        self.state.metrics.attempted(ConnectionReason::Connected);
        self.state.connected(target.device_id.as_str(), target.hub.host());
        tracing::info!(device = self.state.name, "connected to {}", target.peer);
        let stop = self.stop.clone();
        let session = Session {
            link,
            target,
            state: &self.state,
            config: &mut self.config,
            credentials: &mut self.credentials,
            stop: &stop,
            renew_at,
            in_flight: InFlight::default(),
            tick_at: accepted,
            reported: false,
        };
        let ended = session.run().await;
        self.state.metrics.disconnected(match &ended {
            Ended::Renew | Ended::Outdated => ConnectionReason::Renewing,
            Ended::Stopped => ConnectionReason::ShuttingDown,
            Ended::Failed(failure) => failure.reason,
        });
        (ended, Some(accepted.elapsed()))
    }

    /// Finds the hub and logs in, unless that becomes pointless meanwhile.
    async fn open(&mut self) -> Result<Opened, Ended> {
        let credentials = self.credentials.borrow_and_update().clone().map_err(|error| {
            Ended::Failed(Failure::new(ConnectionReason::CredentialsUnreadable, error.to_string()))
        })?;
        let device = Arc::clone(&self.config.borrow());
        let mut newer = self.credentials.clone();
        tokio::select! {
            opened = open(self, &device, &credentials) => opened.map_err(Ended::Failed),
            _ = newer.changed() => Err(Ended::Outdated),
            () = hopeless(&self.stop, &self.state) => Err(Ended::Stopped),
        }
    }

    /// Forgets the hub that DPS assigned, so that it is asked again.
    fn forget_assignment(&self) {
        let device = self.config.borrow();
        if let Some(dps) = &device.dps {
            AssignmentFile::new(&self.folder, dps, target::registration_id(&device, dps)).remove();
        }
    }
}

/// Ends at once when there is nothing left to send, and when the time is over otherwise.
async fn hopeless(stop: &Stop, state: &DeviceState) {
    stop.asked().await;
    if !state.outbox.lock().is_empty() {
        stop.expired().await;
    }
}

async fn wait(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Finds the hub and logs in.
async fn open(this: &Connection, device: &Device, credentials: &Credentials) -> Result<Opened, Failure> {
    let tls = this.trust.client(credentials.ca.as_deref()).map_err(|error| {
        let message = format!("{} cannot be used: {error}", credentials.ca_path.display());
        Failure::new(ConnectionReason::CredentialsUnreadable, message)
    })?;
    let expiry = token::expiry(Timestamp::now(), this.token_lifetime);
    let target = target::find(this, device, &credentials.key, expiry, &tls).await?;
    let (host, device_id) = (target.hub.host(), target.device_id.as_str());
    if device_id.contains(['+', '#']) {
        let message = format!(
            "MQTT cannot publish as {device_id:?}: register the device under an id without '+' and '#'"
        );
        return Err(Failure::new(ConnectionReason::ProtocolRefused, message));
    }
    // DPS may have taken its time.
    let expiry = token::expiry(Timestamp::now(), this.token_lifetime);
    let renew_at = Instant::now() + token::renewal(Timestamp::now(), expiry, rand::random());
    let login = Login {
        client_id: device_id.to_owned(),
        user_name: HubUserName::of_device(host, device_id, device.model_id.as_deref(), CLIENT).to_string(),
        token: SasToken::sign(&credentials.key, &device_resource(host, device_id), expiry, None),
        clean_session: false,
        keep_alive: this.keep_alive,
    };
    this.state.metrics.expiry.with_label_values(&[SAS_TOKEN]).set(i64::try_from(expiry).unwrap_or(i64::MAX));
    let link = Link::open(&target.peer, login, tls, &this.slots).await?;
    Ok(Opened { link, target, renew_at })
}
