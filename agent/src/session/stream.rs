//! One accepted connection to the hub: messages out, acknowledgements in, until it ends. Talks to the network.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::mqtt::QoS;
use lanyard_handoff::config::Device;
use lanyard_handoff::status::ConnectionReason;
use lanyard_protocol::hub::topic;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock;
use crate::credentials::failure::CredentialFailure;
use crate::environment::Environment;
use crate::messages::outbox::Next;
use crate::messages::shared_outbox::SharedOutbox;
use crate::mqtt::failure::Failure;
use crate::mqtt::transport::{Arrival, DeliveryToken, Link};
use crate::session::endpoint::Endpoint;
use crate::session::renew::Renewal;
use crate::status::connection::ConnectionStatus;
use crate::stop::Stop;
use crate::wait::after;
use crate::wait::until;

/// End of a session, or of the attempt to begin one.
#[derive(Debug)]
pub(super) enum SessionEnd {
    /// Stop, for good.
    Stopped,
    /// Reconnect with a renewed token or another credential.
    Renew(Renewal),
    /// Failure, or a silent hub.
    Failed(CredentialFailure),
}

impl SessionEnd {
    /// Creates the end of an accepted connection after a failure, which says nothing about the credential.
    const fn lost(failure: Failure) -> Self {
        Self::Failed(CredentialFailure::unrelated(failure))
    }

    /// Returns the reason for status and metrics.
    pub(super) const fn reason(&self) -> ConnectionReason {
        match self {
            Self::Stopped => ConnectionReason::ShuttingDown,
            Self::Renew(_) => ConnectionReason::Renewing,
            Self::Failed(failed) => failed.failure.reason,
        }
    }
}

/// One accepted connection.
pub(super) struct Session<'a, L> {
    pub(super) link: L,
    pub(super) target: Endpoint,
    pub(super) status: &'a ConnectionStatus,
    pub(super) outbox: &'a SharedOutbox,
    pub(super) config: &'a mut watch::Receiver<Arc<Device>>,
    pub(super) stop: &'a Stop,
    pub(super) environment: Environment,
    /// Start of the next interval.
    pub(super) tick_at: Instant,
    /// True after an oversize event was reported.
    pub(super) reported: bool,
}

/// Phase of a session.
#[derive(Debug)]
enum Phase {
    /// Messages go out.
    Streaming,
    /// Waits for messages in flight, and then reconnects.
    Finishing(Renewal),
    /// All events are sent, and then the connection ends.
    Draining,
}

impl<L: Link> Session<'_, L> {
    /// Publishes until the session has to end, and disconnects if that is possible. `renewal` is one of the reasons.
    pub(super) async fn run(&mut self, renewal: Pin<&mut impl Future<Output = Renewal>>) -> SessionEnd {
        let end = self.stream(renewal).await;
        if !matches!(end, SessionEnd::Failed(_)) {
            self.link.close().await;
        }
        self.outbox.lock().rewind();
        end
    }

    async fn stream(&mut self, mut renewal: Pin<&mut impl Future<Output = Renewal>>) -> SessionEnd {
        let mut phase = Phase::Streaming;
        loop {
            let (waits, oldest_in_flight_since) = match self.proceed(&phase) {
                ControlFlow::Continue(progress) => progress,
                ControlFlow::Break(end) => return end,
            };
            let timeout = self.config.borrow().telemetry.timeout.get();
            let timeout_at = oldest_in_flight_since.map(|since| after(Instant::from_std(since), timeout));
            let (streaming, draining) = (matches!(phase, Phase::Streaming), matches!(phase, Phase::Draining));
            tokio::select! {
                arrival = self.link.next() => match arrival {
                    Ok(arrival) => self.handle(&arrival),
                    Err(failure) => return SessionEnd::lost(failure),
                },
                () = tokio::time::sleep_until(self.tick_at), if streaming && waits => {
                    self.outbox.lock().tick();
                    self.tick_at = after(Instant::now(), self.config.borrow().telemetry.interval.get());
                }
                () = self.outbox.filled(), if !waits => {}
                () = until(timeout_at) => return SessionEnd::lost(self.silence(timeout)),
                renewal = &mut renewal, if streaming => phase = Phase::Finishing(renewal),
                Ok(()) = self.config.changed(), if streaming => {
                    // A shorter interval holds from now on.
                    let interval = self.config.borrow_and_update().telemetry.interval.get();
                    self.tick_at = self.tick_at.min(after(Instant::now(), interval));
                }
                () = self.stop.requested(), if !draining => phase = Phase::Draining,
                () = self.stop.expired(), if draining => return SessionEnd::Stopped,
            }
        }
    }

    /// Sends what the phase allows. Returns the end, or whether events wait for the next interval, and the time since
    /// which an acknowledgement is outstanding.
    fn proceed(&mut self, phase: &Phase) -> ControlFlow<SessionEnd, (bool, Option<std::time::Instant>)> {
        if matches!(phase, Phase::Draining) {
            self.outbox.lock().tick();
        }
        if !matches!(phase, Phase::Finishing(_))
            && let Err(failure) = self.submit()
        {
            return ControlFlow::Break(SessionEnd::lost(failure));
        }
        let outbox = self.outbox.lock();
        match phase {
            Phase::Finishing(renewal) if outbox.is_quiet() => {
                ControlFlow::Break(SessionEnd::Renew(renewal.clone()))
            }
            Phase::Draining if outbox.is_empty() => ControlFlow::Break(SessionEnd::Stopped),
            _ => ControlFlow::Continue((outbox.waits(), outbox.oldest_in_flight_since())),
        }
    }

    /// Hands over what is due, as far as the window allows.
    fn submit(&mut self) -> Result<(), Failure> {
        let device = Arc::clone(&self.config.borrow());
        let qos = if device.telemetry.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        loop {
            let timestamp = self.environment.now().as_millisecond();
            let next = self.outbox.lock().next(&device.telemetry, clock::instant(), timestamp);
            match next {
                Next::Nothing => return Ok(()),
                Next::Send(message) => {
                    let topic = topic::telemetry(self.target.device_id.as_str(), &message.properties);
                    self.link.publish(topic, qos, &message.body, DeliveryToken(message.number))?;
                }
                Next::TooLarge { tag, bytes } => {
                    if !std::mem::replace(&mut self.reported, true) {
                        tracing::error!(
                            device = self.status.name(),
                            tag = &*tag,
                            "an event of {bytes} bytes is larger than a hub takes (262144 with properties) and was dropped: \
                             read the tag in smaller parts; further such events are only counted"
                        );
                    }
                }
            }
        }
    }

    fn handle(&mut self, arrival: &Arrival) {
        match arrival {
            Arrival::Delivered(DeliveryToken(message)) => {
                if let Some(latency) = self.outbox.acknowledge(*message, clock::instant()) {
                    self.status.acknowledged(latency);
                }
            }
            // Nothing is subscribed to; what the hub kept for earlier software of this device is acknowledged, so that it
            // is not sent again. A flood of it ends the connection, see `MqttLink`.
            Arrival::Message(message) => self.link.acknowledge(message),
            Arrival::Subscribed => {}
        }
    }

    fn silence(&self, timeout: Duration) -> Failure {
        Failure::new(
            ConnectionReason::Timeout,
            format!(
                "{} did not acknowledge a message within {timeout:?}: it is overloaded or throttles; telemetry.timeout allows more",
                self.target.peer
            ),
        )
    }
}
