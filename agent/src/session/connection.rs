//! A device's life at its hub: choose a credential, find the hub, log in, publish, and begin again when it ends. Talks
//! to the network.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lanyard_handoff::config::Device;
use lanyard_handoff::status::ConnectionReason;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::credential::Credential;
use crate::credentials::failure::CredentialFailure;
use crate::credentials::set::{CredentialSet, CredentialsWatch};
use crate::environment::Environment;
use crate::messages::shared_outbox::SharedOutbox;
use crate::mqtt::failure::Failure;
use crate::mqtt::transport::Transport;
use crate::mqtt::trust::Trust;
use crate::session::backoff::Backoff;
use crate::session::connect::{Connector, OpenConnection};
use crate::session::renew;
use crate::session::renew::Renewal;
use crate::session::stream::{Session, SessionEnd};
use crate::status::connection::ConnectionStatus;
use crate::stop::Stop;
use crate::wait::after;
use crate::wait::until;

/// Parameters of a device's connection.
pub struct Connection<T> {
    /// Opener of connections.
    pub transport: T,
    /// Time and randomness.
    pub environment: Environment,
    /// State of the connection, which this writes.
    pub status: Arc<ConnectionStatus>,
    /// Events of the device.
    pub outbox: Arc<SharedOutbox>,
    /// Its configuration; identity and hub stay the same as long as this connection lives.
    pub config: watch::Receiver<Arc<Device>>,
    /// Its credentials.
    pub credentials: CredentialsWatch,
    /// Trust anchors of the process.
    pub trust: Trust,
    /// Lifetime of tokens.
    pub token_lifetime: Duration,
    /// Silence after which a ping is sent.
    pub keep_alive: Duration,
    /// Pause of a credential that the hub refused while another one works.
    pub credential_retry: Duration,
    /// Folder of the stored assignment.
    pub folder: PathBuf,
    /// Request to stop.
    pub stop: Stop,
}

impl<T: Transport> Connection<T> {
    /// Keeps the device connected until it is asked to end.
    pub fn run(self) -> impl Future<Output = ()> + use<T> {
        let connector = Connector {
            transport: self.transport,
            status: Arc::clone(&self.status),
            device: Arc::clone(&self.config.borrow()),
            token_lifetime: self.token_lifetime,
            keep_alive: self.keep_alive,
            folder: self.folder,
            environment: self.environment,
        };
        let credentials = CredentialSet::new(
            Arc::clone(&self.status),
            self.trust,
            self.credentials,
            self.credential_retry,
            self.environment,
        );
        let Self { status, outbox, config, stop, .. } = self;
        let backoff = Backoff::default();
        // Made before the task begins, which would have room for every step of it as long as it lives.
        let mut life = ConnectionLoop { status, outbox, config, connector, credentials, stop, backoff };
        async move { life.run().await }
    }
}

/// End of an attempt to connect.
enum AttemptEnd {
    /// The credentials changed before the login.
    Outdated,
    /// The attempt ended as a session does.
    Session(SessionEnd),
}

impl AttemptEnd {
    const fn failed(failed: CredentialFailure) -> Self {
        Self::Session(SessionEnd::Failed(failed))
    }
}

struct ConnectionLoop<T> {
    status: Arc<ConnectionStatus>,
    outbox: Arc<SharedOutbox>,
    config: watch::Receiver<Arc<Device>>,
    connector: Connector<T>,
    credentials: CredentialSet,
    stop: Stop,
    backoff: Backoff,
}

impl<T: Transport> ConnectionLoop<T> {
    async fn run(&mut self) {
        let mut last_attempt = false;
        let mut renewal = None;
        loop {
            let (end, credential) = match self.choose(renewal.take()) {
                Ok(chosen) => (self.attempt(&chosen).await, Some(chosen.credential)),
                // Nothing was attempted.
                Err(failure) => (AttemptEnd::failed(CredentialFailure::unrelated(failure)), None),
            };
            match end {
                AttemptEnd::Session(SessionEnd::Stopped) => break,
                AttemptEnd::Outdated => self.backoff.reset(),
                AttemptEnd::Session(SessionEnd::Renew(next)) => {
                    self.disconnected(ConnectionReason::Renewing, "");
                    self.backoff.reset();
                    renewal = Some(next);
                }
                AttemptEnd::Session(SessionEnd::Failed(failed)) => {
                    let credential = credential.as_deref();
                    if credential.is_some_and(|used| self.credentials.record_failure(used, &failed)) {
                        // Another one is tried at once.
                        continue;
                    }
                    let retry_at = self.report(credential, &failed.failure);
                    if self.wait(retry_at).await {
                        // What the buffer still has is worth one more attempt.
                        if last_attempt || self.outbox.lock().is_empty() {
                            break;
                        }
                        last_attempt = true;
                    }
                }
            }
        }
        self.disconnected(ConnectionReason::ShuttingDown, "");
    }

    fn disconnected(&self, reason: ConnectionReason, message: &str) {
        self.status.disconnected(reason, message, self.connector.environment.now());
    }

    /// Takes the credential of a renewal, or the best one.
    fn choose(&mut self, renewal: Option<Renewal>) -> Result<Renewal, Failure> {
        self.credentials.update();
        match renewal {
            Some(renewal) => Ok(renewal),
            None => {
                let next = self.credentials.next(Instant::now());
                next.map(|credential| Renewal { credential, registered: false })
            }
        }
    }

    /// Reports a failure; returns the time of the next attempt, or nothing if only other credentials help.
    fn report(&mut self, credential: Option<&Credential>, failure: &Failure) -> Option<Instant> {
        // One line for the directory of all devices is enough, and `Devices` has written it.
        if failure.reason != ConnectionReason::CredentialsUnreadable || !self.credentials.is_logged_for_all()
        {
            let reason = failure.reason.as_str();
            tracing::warn!(device = self.status.name(), reason, "{}", failure.message);
        }
        self.disconnected(failure.reason, &failure.message);
        let environment = self.connector.environment;
        let retry = self.backoff.after(failure.reason, failure.retry_after, environment.chance());
        if let Some(credential) = credential.filter(|_| retry.ask_dps) {
            self.connector.forget(credential);
        }
        let valid = credential.and_then(|credential| credential.begins_in(environment.now()));
        retry.wait.map(|wait| after(Instant::now(), valid.map_or(wait, |valid| wait.min(valid))))
    }

    /// Waits for the next attempt; returns whether the stop was requested instead.
    async fn wait(&mut self, retry_at: Option<Instant>) -> bool {
        tokio::select! {
            () = until(retry_at) => false,
            () = self.credentials.changed() => {
                self.backoff.reset();
                false
            }
            () = self.stop.requested() => true,
        }
    }

    /// Runs one connection, from finding the hub to its end.
    async fn attempt(&mut self, chosen: &Renewal) -> AttemptEnd {
        let opened = match self.open(chosen).await {
            Ok(opened) => opened,
            Err(end) => return end,
        };
        let accepted = Instant::now();
        let end = self.stream(opened, &chosen.credential, accepted).await;
        self.backoff.accepted(accepted.elapsed());
        AttemptEnd::Session(end)
    }

    /// Finds the hub and logs in, unless that becomes pointless meanwhile.
    async fn open(&self, chosen: &Renewal) -> Result<OpenConnection<T::Link>, AttemptEnd> {
        let Renewal { credential, registered } = chosen;
        if let Some(certificate) = credential.certificate() {
            // Above all one that has expired already.
            self.status.certificate_expires(certificate.not_after);
        }
        self.credentials.check_validity(credential).map_err(AttemptEnd::failed)?;
        let tls = self.credentials.tls(credential).map_err(AttemptEnd::failed)?;
        // In a box, which is freed once the connection is established.
        let opening = Box::pin(self.connector.open(credential, *registered, &tls));
        let opened = tokio::select! {
            opened = opening => opened,
            () = self.credentials.changed() => return Err(AttemptEnd::Outdated),
            () = stop_of_attempt(&self.stop, &self.outbox) => return Err(AttemptEnd::Session(SessionEnd::Stopped)),
        };
        opened.map_err(|failed| {
            self.status.attempt_failed(failed.failure.reason);
            AttemptEnd::failed(failed)
        })
    }

    /// Publishes over an accepted connection until it ends.
    async fn stream(
        &mut self,
        opened: OpenConnection<T::Link>,
        credential: &Arc<Credential>,
        accepted: Instant,
    ) -> SessionEnd {
        let OpenConnection { link, target, renew_at } = opened;
        let environment = self.connector.environment;
        self.status.connected(target.device_id.as_str(), target.hub.host(), environment.now());
        self.credentials.accepted(credential);
        tracing::info!(device = self.status.name(), "connected to {}", target.peer);
        let renewal = pin!(renew::find(&mut self.credentials, &self.connector, credential, renew_at));
        let mut session = Session {
            link,
            target,
            status: &self.status,
            outbox: &self.outbox,
            config: &mut self.config,
            stop: &self.stop,
            environment,
            tick_at: accepted,
            reported: false,
        };
        let end = session.run(renewal).await;
        self.status.connection_ended(end.reason());
        end
    }
}

/// Ends when the stop ends an attempt: at once if there is nothing left to send, otherwise at the deadline.
async fn stop_of_attempt(stop: &Stop, outbox: &SharedOutbox) {
    stop.requested().await;
    if !outbox.lock().is_empty() {
        stop.expired().await;
    }
}
