//! A device connected to a hub: its messages, subscriptions and end (ref §1). Talks to the network.

use std::sync::Arc;

use bytes::BytesMut;
use lanyard_protocol::hub::topic::ToHub;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::wire::Wire;
use crate::connection::close_reason::CloseReason;
use crate::connection::deadlines::{Deadlines, token_end};
use crate::events::event::Origin;
use crate::hub::admission::Admission;
use crate::hub::connections::Attachment;
use crate::hub::device::Device;
use crate::hub::telemetry::{Manner, Message, accept};
use crate::hub::{subscription, twin};
use crate::mqtt::answer;
use crate::mqtt::packet::{Connect, Packet, Publish, Will};
use crate::state::EmulatorState;

/// Context for the packets of a session.
struct HubSession<'a> {
    state: &'a EmulatorState,
    device: Arc<Device>,
    origin: Arc<Origin>,
}

/// Lets an admitted device in, serves it, and publishes its last will unless it says good-bye (ref §1.7).
pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    connect: &Connect,
    admission: Admission,
    state: &EmulatorState,
    stop: &CancellationToken,
) -> CloseReason {
    let ends = admission.expiry.map(|expiry| token_end(expiry, state.clock.seconds(), state.tokens));
    let session = HubSession::new(admission, state);
    if let Some(Err(ending)) = connect.will.as_ref().map(|will| session.check_will(will)) {
        return ending;
    }
    let lifetime = Deadlines::new(connect.keep_alive, ends);
    let mut attachment = session.device.attach(connect.clean_session, state.clock.now());
    answer::accept(&mut wire.output, attachment.session_present);
    tracing::info!(
        clean_session = connect.clean_session,
        session_present = attachment.session_present,
        "device connected"
    );
    let ending = session.serve(wire, lifetime, &mut attachment, stop).await;
    if let Some(will) = connect.will.as_ref().filter(|_| ending != CloseReason::Disconnected) {
        session.publish_will(will);
    }
    session.device.detach(&attachment, ending.to_string(), state.clock.now());
    ending
}

impl<'a> HubSession<'a> {
    fn new(admission: Admission, state: &'a EmulatorState) -> Self {
        let origin = Origin {
            hub: admission.hub.name.clone(),
            device_id: admission.device.identity.id().clone(),
            generation_id: admission.device.identity.generation_id().to_owned(),
            model_id: admission.model_id,
        };
        Self { state, device: admission.device, origin: Arc::new(origin) }
    }

    /// Handles packets until there is a reason to end.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &mut Wire<S>,
        mut lifetime: Deadlines,
        attachment: &mut Attachment,
        stop: &CancellationToken,
    ) -> CloseReason {
        loop {
            // CONNECT may have come together with what follows it.
            if let Err(ending) = self.drain(wire, &mut lifetime) {
                return ending;
            }
            tokio::select! {
                biased;
                order = &mut attachment.close => return order.map_or(CloseReason::Requested, CloseReason::from),
                () = stop.cancelled() => return CloseReason::Shutdown,
                ending = lifetime.over(&*self.state.clock) => return ending,
                filled = wire.fill() => {
                    if let Err(ending) = filled {
                        return ending;
                    }
                }
            }
        }
    }

    /// Handles every packet that was read.
    fn drain<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &mut Wire<S>,
        lifetime: &mut Deadlines,
    ) -> Result<(), CloseReason> {
        while let Some(packet) = wire.packet()? {
            lifetime.heard();
            self.handle(packet, &mut wire.output)?;
        }
        Ok(())
    }

    fn handle(&self, packet: Packet, out: &mut BytesMut) -> Result<(), CloseReason> {
        match packet {
            Packet::Publish(publish) => self.publish(&publish, out)?,
            Packet::Subscribe(id, filters) => {
                let mut granted = Vec::with_capacity(filters.len());
                for (filter, qos) in filters {
                    let wanted = subscription::read(&filter, qos, self.device.identity.id())
                        .map_err(|error| CloseReason::filter(&error.0))?;
                    granted.push(wanted.qos);
                    self.device.subscribe(wanted).map_err(CloseReason::Subscriptions)?;
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
        Ok(())
    }

    /// PUBACK is written once the message is stored (ref §1.6).
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
                let twin = self.device.twin.get(rid);
                answer::publish(out, &twin.topic, None, twin.body.as_bytes()).map_err(malformed)?;
            }
            ToHub::TwinReported { rid } => {
                let refused = twin::refuse_report(rid, self.state.clock.now());
                answer::publish(out, &refused.topic, None, refused.body.as_bytes()).map_err(malformed)?;
            }
            // The emulator calls no methods, so a response belongs to no call and is dropped (ref §7).
            ToHub::MethodResponse { .. } => {}
        }
        if let Some(id) = publish.id()
            && self.device.faults.sends_next_puback()
        {
            answer::puback(out, id);
        }
        Ok(())
    }

    fn store(&self, message: Message) {
        let now = self.state.clock.now();
        self.device.counters.received(message.body.len(), now);
        self.state.events.push(now, self.origin.clone(), message);
    }

    /// A last will goes to the device's telemetry topic, at QoS 0 or 1 (ref §1.7).
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
