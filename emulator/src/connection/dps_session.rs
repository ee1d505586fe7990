//! A device connected to DPS: it subscribes, registers and asks how far it is (ref §8.2). DPS keeps no session. Talks
//! to the network.

use std::sync::Arc;

use bytes::BytesMut;
use lanyard_protocol::hub::topic::{DPS_RESPONSES, ToDps};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::wire::Wire;
use crate::connection::close_reason::CloseReason;
use crate::connection::deadlines::Deadlines;
use crate::dps::answer::Answer;
use crate::dps::attestation::AttestationError;
use crate::dps::service::Dps;
use crate::faults::connection::ConnectionFaults;
use crate::faults::fault::{FaultPeer, Service};
use crate::hub::subscription::MAX_QOS;
use crate::mqtt::answer;
use crate::mqtt::packet::{Connect, Packet, Publish};
use crate::registry::enrollment::Enrolled;
use crate::state::EmulatorState;
use lanyard_protocol::hub::dps::ERROR_UNAUTHORIZED;

/// Ref §8.7.
pub const MAX_BODY: usize = 96 * 1024;

/// Registration id and id scope of a connection.
#[derive(Debug)]
pub struct Registration {
    /// The instance, when the id scope names one.
    pub dps: Option<Arc<Dps>>,
    /// As the user name contains it.
    pub registration_id: String,
    /// The enrollment, or why there is none.
    pub attested: Result<Enrolled, AttestationError>,
}

struct DpsSession<'a> {
    state: &'a EmulatorState,
    registration: &'a Registration,
    faults: ConnectionFaults<'a>,
    /// The QoS of the subscription to answers, once there is one.
    granted: Option<u8>,
    last_id: u16,
}

/// Serves one registering device.
pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    connect: &Connect,
    registration: Registration,
    state: &EmulatorState,
    stop: &CancellationToken,
) -> CloseReason {
    if let Err(error) = &registration.attested {
        tracing::info!(%error, "the registration will be refused");
    }
    let mut deadlines = Deadlines::new(connect.keep_alive, None);
    let peer = FaultPeer { service: Service::Dps, hub: "", device_id: &registration.registration_id };
    let faults = ConnectionFaults::new(&state.faults, peer);
    if let Some((refusal, reason)) = faults.refuses_connection() {
        answer::refuse(&mut wire.output, refusal);
        return CloseReason::Refused(reason);
    }
    if let Some(reason) = faults.drops_connection() {
        return CloseReason::Fault(reason);
    }
    let mut session = DpsSession { state, registration: &registration, faults, granted: None, last_id: 0 };
    answer::accept(&mut wire.output, false);
    wire.hold(0, session.faults.answers_at(Instant::now(), None));
    loop {
        if let Err(reason) = session.drain(wire, &mut deadlines) {
            return reason;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return CloseReason::Shutdown,
            reason = deadlines.over(&*state.clock) => return reason,
            filled = wire.fill() => {
                if let Err(reason) = filled {
                    return reason;
                }
            }
        }
    }
}

impl DpsSession<'_> {
    fn drain<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        wire: &mut Wire<S>,
        deadlines: &mut Deadlines,
    ) -> Result<(), CloseReason> {
        while let Some(packet) = wire.packet()? {
            deadlines.packet_received();
            let answered = wire.output.len();
            let is_message = matches!(packet, Packet::Publish(_));
            self.handle(packet, &mut wire.output)?;
            if wire.output.len() > answered {
                wire.hold(answered, self.faults.answers_at(Instant::now(), None));
            }
            if is_message && let Some(reason) = self.faults.drops_connection() {
                return Err(CloseReason::Fault(reason));
            }
        }
        Ok(())
    }

    fn handle(&mut self, packet: Packet, out: &mut BytesMut) -> Result<(), CloseReason> {
        match packet {
            Packet::Publish(publish) => self.publish(&publish, out)?,
            Packet::Subscribe(id, filters) => {
                if let Some((other, _)) = filters.iter().find(|(filter, _)| filter != DPS_RESPONSES) {
                    return Err(CloseReason::filter(other));
                }
                let granted: Vec<u8> = filters.iter().map(|(_, qos)| (*qos).min(MAX_QOS)).collect();
                self.granted = granted.last().copied();
                answer::suback(out, id, &granted);
            }
            Packet::Unsubscribe(id, _) => {
                self.granted = None;
                answer::unsuback(out, id);
            }
            Packet::Pingreq => answer::pingresp(out),
            Packet::Puback(_) => {}
            Packet::Disconnect => return Err(CloseReason::Disconnected),
            Packet::Connect(_) => return Err(CloseReason::OutOfOrder),
        }
        Ok(())
    }

    fn publish(&mut self, publish: &Publish, out: &mut BytesMut) -> Result<(), CloseReason> {
        if publish.qos() > MAX_QOS {
            return Err(CloseReason::ExactlyOnce);
        }
        let (topic, body) = (publish.topic(), publish.payload());
        if body.len() > MAX_BODY {
            return Err(CloseReason::TooLargeForDps { bytes: body.len(), limit: MAX_BODY });
        }
        let request = ToDps::parse(topic).map_err(|error| CloseReason::topic(topic, error))?;
        if let Some(id) = publish.id() {
            answer::puback(out, id);
        }
        let answer = self.answer(request, &body);
        self.state.totals.dps_answered();
        let (ToDps::Register { rid } | ToDps::Poll { rid, .. }) = request;
        tracing::info!(?request, status = answer.status, "answered");
        // A client without a subscription gets no answer.
        if let Some(qos) = self.granted {
            let id = (qos > 0).then(|| self.next_id());
            answer::publish(out, &answer.topic(rid), id, answer.body.as_bytes()).map_err(|error| {
                CloseReason::Malformed(format!("the request id cannot be echoed: {error:?}"))
            })?;
        }
        self.faults.message();
        Ok(())
    }

    fn answer(&self, request: ToDps<'_>, body: &[u8]) -> Answer {
        let now = self.state.clock.now();
        if let Some(error) = self.faults.refuses_registration() {
            let answer = Answer::error(error.code, &error.message, now);
            return Answer { retry_after: error.retry_after, ..answer };
        }
        let Registration { dps, registration_id, attested } = self.registration;
        match (dps, request) {
            (None, _) => Answer::error(ERROR_UNAUTHORIZED, "Unauthorized", now),
            (Some(dps), ToDps::Register { .. }) => dps.register(registration_id, attested, body, now),
            (Some(dps), ToDps::Poll { operation_id, .. }) => {
                dps.poll(registration_id, attested, operation_id, now)
            }
        }
    }

    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }
}
