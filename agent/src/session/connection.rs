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
use crate::credentials::select::RetryRule;
use crate::credentials::set::{CredentialFailure, CredentialSet, CredentialsWatch};
use crate::environment::Environment;
use crate::messages::shared_outbox::SharedOutbox;
use crate::mqtt::failure::Failure;
use crate::mqtt::transport::Transport;
use crate::mqtt::trust::Trust;
use crate::session::backoff::Backoff;
use crate::session::connect::{ConnectStage, Connector, OpenConnection};
use crate::session::renew;
use crate::session::renew::{Renewal, is_refusal, rest_after_dps, rest_at_hub};
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
        let approach = Connector {
            transport: self.transport,
            status: Arc::clone(&self.status),
            device: Arc::clone(&self.config.borrow()),
            token_lifetime: self.token_lifetime,
            keep_alive: self.keep_alive,
            folder: self.folder,
            environment: self.environment,
        };
        let keyring = CredentialSet::new(
            Arc::clone(&self.status),
            self.trust,
            self.credentials,
            self.credential_retry,
            self.environment,
        );
        let Self { status, outbox, config, stop, .. } = self;
        // Made before the task begins, which would have room for every step of it as long as it lives.
        let mut life =
            ConnectionLoop { status, outbox, config, approach, keyring, stop, pace: Backoff::default() };
        async move { life.run().await }
    }
}

struct ConnectionLoop<T> {
    status: Arc<ConnectionStatus>,
    outbox: Arc<SharedOutbox>,
    config: watch::Receiver<Arc<Device>>,
    approach: Connector<T>,
    keyring: CredentialSet,
    stop: Stop,
    pace: Backoff,
}

/// Failed attempt to connect.
struct FailedAttempt {
    failure: Failure,
    /// Pause of the credential, if the failure concerns it.
    setback: Option<RetryRule>,
}

/// End of a connection or of an attempt.
enum AttemptEnd {
    Stopped,
    /// The credentials have changed.
    Outdated,
    /// Reconnect with a renewed token or another credential.
    Renew(Renewal),
    /// And with which credential, if there was any.
    Failed(FailedAttempt, Option<Arc<Credential>>),
}

impl<T: Transport> ConnectionLoop<T> {
    async fn run(&mut self) {
        let mut last_attempt = false;
        let mut planned = None;
        loop {
            let (failed, credential) = match self.attempt(planned.take()).await {
                AttemptEnd::Stopped => break,
                AttemptEnd::Outdated => {
                    self.pace.reset();
                    continue;
                }
                AttemptEnd::Renew(successor) => {
                    self.status.disconnected(ConnectionReason::Renewing, "");
                    self.pace.reset();
                    planned = Some(successor);
                    continue;
                }
                AttemptEnd::Failed(failed, credential) => (failed, credential),
            };
            if self.another_is_left(credential.as_deref(), &failed) {
                continue;
            }
            let wait = self.told(credential.as_deref(), &failed.failure);
            let stop = self.stop.clone();
            tokio::select! {
                () = until(wait) => {}
                () = self.keyring.changed() => self.pace.reset(),
                () = stop.requested() => {
                    // What the buffer still has is worth one more attempt.
                    if last_attempt || self.outbox.lock().is_empty() {
                        break;
                    }
                    last_attempt = true;
                }
            }
        }
        self.status.disconnected(ConnectionReason::ShuttingDown, "");
    }

    /// Returns whether to try another credential at once.
    fn another_is_left(&mut self, credential: Option<&Credential>, failed: &FailedAttempt) -> bool {
        let (Some(credential), Some(rest)) = (credential, failed.setback) else { return false };
        let failure = &failed.failure;
        let setback = CredentialFailure { failure, rest, refused: is_refusal(failure.reason) };
        self.keyring.set_back(credential, &setback)
    }

    /// Reports a failure; returns the end of the wait, or nothing if only other credentials help.
    fn told(&mut self, credential: Option<&Credential>, failure: &Failure) -> Option<Instant> {
        // One line for the directory of all devices is enough, and the fleet has written it.
        if failure.reason != ConnectionReason::CredentialsUnreadable || !self.keyring.is_told() {
            let reason = failure.reason.as_str();
            tracing::warn!(device = self.status.name(), reason, "{}", failure.message);
        }
        self.status.disconnected(failure.reason, &failure.message);
        let step = self.pace.after(failure.reason, failure.retry_after, self.approach.environment.chance());
        if let Some(credential) = credential.filter(|_| step.ask_dps) {
            self.approach.forget(credential);
        }
        let valid = credential.and_then(|credential| credential.begins_in(self.approach.environment.now()));
        step.wait.map(|wait| after(Instant::now(), valid.map_or(wait, |valid| wait.min(valid))))
    }

    /// One connection, from choosing a credential to its end.
    async fn attempt(&mut self, planned: Option<Renewal>) -> AttemptEnd {
        self.keyring.look();
        let chosen = match planned {
            Some(planned) => Ok(planned),
            None => {
                let next = self.keyring.next(Instant::now());
                next.map(|credential| Renewal { credential, registered: false })
            }
        };
        let chosen = match chosen {
            Ok(chosen) => chosen,
            // Nothing was attempted.
            Err(failure) => return AttemptEnd::Failed(FailedAttempt { failure, setback: None }, None),
        };
        let opened = match self.open(&chosen).await {
            Ok(opened) => opened,
            Err(end) => return end,
        };
        let accepted = Instant::now();
        let ended = self.stream(opened, &chosen.credential, accepted).await;
        self.pace.accepted(accepted.elapsed());
        match ended {
            SessionEnd::Stopped => AttemptEnd::Stopped,
            SessionEnd::Renew(successor) => AttemptEnd::Renew(successor),
            SessionEnd::Failed(failure) => {
                AttemptEnd::Failed(FailedAttempt { failure, setback: None }, Some(chosen.credential))
            }
        }
    }

    /// Finds the hub and logs in, unless that becomes pointless meanwhile.
    async fn open(&self, chosen: &Renewal) -> Result<OpenConnection<T::Link>, AttemptEnd> {
        let failed = |failed| AttemptEnd::Failed(failed, Some(Arc::clone(&chosen.credential)));
        if let Some(certificate) = chosen.credential.certificate() {
            // Above all one that has expired already.
            self.status.certificate_expires(certificate.not_after);
        }
        if let Some((failure, rest)) = self.keyring.forbidden(&chosen.credential) {
            return Err(failed(FailedAttempt { failure, setback: Some(rest) }));
        }
        let tls = self.keyring.tls(&chosen.credential);
        let tls = tls.map_err(|failure| failed(FailedAttempt { failure, setback: Some(RetryRule::Dps) }))?;
        // In a box, which is freed once the connection is established.
        let opening = Box::pin(self.approach.open(&chosen.credential, chosen.registered, &tls));
        let opened = tokio::select! {
            opened = opening => opened,
            () = self.keyring.changed() => return Err(AttemptEnd::Outdated),
            () = hopeless(&self.stop, &self.outbox) => return Err(AttemptEnd::Stopped),
        };
        opened.map_err(|(failure, stage)| {
            self.status.attempt_failed(failure.reason);
            let setback = match stage {
                ConnectStage::Registering => Some(rest_after_dps(&failure)),
                ConnectStage::Hub => rest_at_hub(failure.reason),
                // The stored assignment may be stale.
                ConnectStage::Remembered => None,
            };
            failed(FailedAttempt { failure, setback })
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
        self.status.connected(target.device_id.as_str(), target.hub.host());
        self.keyring.accepted(credential);
        tracing::info!(device = self.status.name(), "connected to {}", target.peer);
        let successor = pin!(renew::find(&mut self.keyring, &self.approach, credential, renew_at));
        let mut session = Session {
            link,
            target,
            status: &self.status,
            outbox: &self.outbox,
            config: &mut self.config,
            stop: &self.stop,
            tick_at: accepted,
            reported: false,
        };
        let ended = session.run(successor).await;
        self.status.connection_ended(match &ended {
            SessionEnd::Renew(_) => ConnectionReason::Renewing,
            SessionEnd::Stopped => ConnectionReason::ShuttingDown,
            SessionEnd::Failed(failure) => failure.reason,
        });
        ended
    }
}

/// Ends at once when there is nothing left to send, and when the time is over otherwise.
async fn hopeless(stop: &Stop, outbox: &SharedOutbox) {
    stop.requested().await;
    if !outbox.lock().is_empty() {
        stop.expired().await;
    }
}
