//! A device connected to a hub: its messages, subscriptions and end (ref §1). Talks to the network.

use std::sync::Arc;

use bytes::BytesMut;
use lanyard_protocol::hub::topic::ToHub;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::wire::Wire;
use crate::connection::close_reason::CloseReason;
use crate::connection::deadlines::{Deadlines, token_end};
use crate::events::event::Origin;
use crate::faults::connection::{Acknowledgement, ConnectionFaults};
use crate::faults::fault::{FaultPeer, Service};
use crate::hub::admission::Admission;
use crate::hub::connections::Attachment;
use crate::hub::device::Device;
use crate::hub::hubs::Hub;
use crate::hub::telemetry::{Manner, Message, accept};
use crate::hub::{subscription, twin};
use crate::mqtt::answer;
use crate::mqtt::packet::{Connect, Packet, Publish, Will};
use crate::state::EmulatorState;

/// Context for the packets of a session.
struct HubSession<'a> {
    state: &'a EmulatorState,
    device: &'a Device,
    origin: Arc<Origin>,
    faults: ConnectionFaults<'a>,
}

/// Lets an admitted device in, serves it, and publishes its last will unless it sends DISCONNECT (ref §1.7).
pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    connect: &Connect,
    admission: Admission,
    state: &EmulatorState,
    stop: &CancellationToken,
) -> CloseReason {
    let ends = admission.expiry.map(|expiry| token_end(expiry, state.clock.seconds(), state.tokens));
    let Admission { hub, device, model_id, .. } = admission;
    let peer = FaultPeer { service: Service::Hub, hub: &hub.name, device_id: device.identity.id() };
    let faults = ConnectionFaults::new(&state.faults, peer);
    if let Some((refusal, reason)) = faults.refuses_connection() {
        answer::refuse(&mut wire.output, refusal);
        device.refuse(reason.clone());
        return CloseReason::Refused(reason);
    }
    if let Some(reason) = faults.drops_connection() {
        device.refuse(reason.clone());
        return CloseReason::Fault(reason);
    }
    let origin = Arc::new(origin(&hub, &device, model_id));
    let mut session = HubSession { state, device: &device, origin, faults };
    if let Some(Err(reason)) = connect.will.as_ref().map(|will| session.check_will(will)) {
        return reason;
    }
    let deadlines = Deadlines::new(connect.keep_alive, ends);
    let mut attachment = session.device.attach(connect.clean_session, state.clock.now());
    answer::accept(&mut wire.output, attachment.session_present);
    wire.hold(0, session.faults.answers_at(Instant::now(), None));
    tracing::info!(
        clean_session = connect.clean_session,
        session_present = attachment.session_present,
        "device connected"
    );
    let reason = session.serve(wire, deadlines, &mut attachment, stop).await;
    if let Some(will) = connect.will.as_ref().filter(|_| reason != CloseReason::Disconnected) {
        session.publish_will(will);
    }
    session.device.detach(&attachment, reason.to_string(), state.clock.now());
    reason
}

fn origin(hub: &Hub, device: &Device, model_id: Option<String>) -> Origin {
    Origin {
        hub: hub.name.clone(),
        device_id: device.identity.id().clone(),
        generation_id: device.identity.generation_id().to_owned(),
        model_id,
    }
}

impl HubSession<'_> {
    /// Handles packets until there is a reason to end.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        wire: &mut Wire<S>,
        mut deadlines: Deadlines,
        attachment: &mut Attachment,
        stop: &CancellationToken,
    ) -> CloseReason {
        loop {
            // CONNECT may have come together with what follows it.
            if let Err(reason) = self.drain(wire, &mut deadlines) {
                return reason;
            }
            tokio::select! {
                biased;
                order = &mut attachment.close => return order.map_or(CloseReason::Requested, CloseReason::from),
                () = stop.cancelled() => return CloseReason::Shutdown,
                reason = deadlines.over(&*self.state.clock) => return reason,
                filled = wire.fill() => {
                    if let Err(reason) = filled {
                        return reason;
                    }
                }
            }
        }
    }

    /// Handles every packet that was read.
    fn drain<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        wire: &mut Wire<S>,
        deadlines: &mut Deadlines,
    ) -> Result<(), CloseReason> {
        while let Some(packet) = wire.packet()? {
            deadlines.packet_received();
            let answered = wire.output.len();
            let is_message = matches!(packet, Packet::Publish(_));
            let acknowledged_at = self.handle(packet, &mut wire.output)?;
            if wire.output.len() > answered {
                wire.hold(answered, self.faults.answers_at(Instant::now(), acknowledged_at));
            }
            if is_message && let Some(reason) = self.faults.drops_connection() {
                return Err(CloseReason::Fault(reason));
            }
        }
        Ok(())
    }

    /// Handles a packet; returns the time at which a throttled acknowledgement leaves.
    fn handle(&mut self, packet: Packet, out: &mut BytesMut) -> Result<Option<Instant>, CloseReason> {
        match packet {
            Packet::Publish(publish) => {
                self.publish(&publish, out)?;
                return self.acknowledge(&publish, out);
            }
            Packet::Subscribe(id, filters) => {
                let mut granted = Vec::with_capacity(filters.len());
                for (filter, qos) in filters {
                    let subscription = subscription::read(&filter, qos, self.device.identity.id())
                        .map_err(|error| CloseReason::filter(&error.0))?;
                    granted.push(subscription.qos);
                    self.device.subscribe(subscription).map_err(CloseReason::Subscriptions)?;
                }
                answer::suback(out, id, &granted);
            }
            Packet::Unsubscribe(id, filters) => {
                filters.iter().for_each(|filter| self.device.unsubscribe(filter));
                answer::unsuback(out, id);
            }
            Packet::Pingreq => answer::pingresp(out),
            // Nothing of QoS 1 is sent to devices yet.
            Packet::Puback(_) => {}
            Packet::Disconnect => return Err(CloseReason::Disconnected),
            Packet::Connect(_) => return Err(CloseReason::OutOfOrder),
        }
        Ok(None)
    }

    /// Writes the PUBACK of a message that is stored (ref §1.6); returns the time at which it leaves.
    fn acknowledge(&mut self, publish: &Publish, out: &mut BytesMut) -> Result<Option<Instant>, CloseReason> {
        self.faults.message();
        let Some(id) = publish.id() else { return Ok(None) };
        let leaves_at = match self.faults.acknowledgement(Instant::now()) {
            Acknowledgement::Sent => None,
            Acknowledgement::At(time) => Some(time),
            Acknowledgement::Lost => return Ok(None),
            Acknowledgement::TooLate(reason) => return Err(CloseReason::Fault(reason)),
        };
        answer::puback(out, id);
        Ok(leaves_at)
    }

    fn publish(&self, publish: &Publish, out: &mut BytesMut) -> Result<(), CloseReason> {
        if publish.qos() > subscription::MAX_QOS {
            return Err(CloseReason::ExactlyOnce);
        }
        let topic = publish.topic();
        let malformed = |error| CloseReason::Malformed(format!("the request id cannot be echoed: {error:?}"));
        match ToHub::parse(topic, self.device.identity.id(), None)
            .map_err(|error| CloseReason::topic(topic, error))?
        {
            ToHub::Telemetry(properties) => {
                let manner = Manner { retain: publish.retain(), will: false };
                let message =
                    accept(properties, publish.payload(), manner).map_err(CloseReason::Telemetry)?;
                self.store(message);
            }
            ToHub::TwinGet { rid } => {
                let twin = twin::get(rid);
                answer::publish(out, &twin.topic, None, twin.body.as_bytes()).map_err(malformed)?;
            }
            ToHub::TwinReported { rid } => {
                let refused = twin::refuse_report(rid, self.state.clock.now());
                answer::publish(out, &refused.topic, None, refused.body.as_bytes()).map_err(malformed)?;
            }
            // The emulator calls no methods, so a response belongs to no call and is dropped (ref §7).
            ToHub::MethodResponse { .. } => {}
        }
        Ok(())
    }

    fn store(&self, message: Message) {
        let now = self.state.clock.now();
        self.device.counters.received(message.body.len(), now);
        self.state.events.push(now, self.origin.clone(), message);
    }

    /// Checks a last will and returns its message. It must go to the device's telemetry topic, at QoS 0 or 1
    /// (ref §1.7).
    fn check_will(&self, will: &Will) -> Result<Message, CloseReason> {
        if will.qos > subscription::MAX_QOS {
            return Err(CloseReason::ExactlyOnce);
        }
        let topic_error = |error| CloseReason::topic(&will.topic, error);
        match ToHub::parse(&will.topic, self.device.identity.id(), None).map_err(topic_error)? {
            ToHub::Telemetry(properties) => {
                let manner = Manner { retain: will.retain, will: true };
                accept(properties, will.payload.clone(), manner).map_err(CloseReason::Telemetry)
            }
            _ => Err(topic_error(lanyard_protocol::hub::topic::TopicError::Unknown)),
        }
    }

    fn publish_will(&self, will: &Will) {
        if let Ok(message) = self.check_will(will) {
            self.store(message);
        }
    }
}
