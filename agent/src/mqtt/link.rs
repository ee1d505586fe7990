//! Transport over TCP and TLS: one MQTT connection, from CONNECT to its end. The packets are the MQTT library's; when they
//! are written and read is decided here, so that nothing half done is lost when a wait is given up. Talks to the network.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use lanyard_handoff::status::ConnectionReason;
use rumqttc::mqttbytes::v4::{
    Codec, ConnectReturnCode, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{QoS, valid_topic};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::codec::Framed;

use crate::buffer::message::MAX_MESSAGE_BYTES;
use crate::mqtt::deliveries::Deliveries;
use crate::mqtt::dial;
use crate::mqtt::dial::Line;
use crate::mqtt::failure::{Failure, Peer};
use crate::mqtt::login::Login;
use crate::mqtt::transport::{Arrival, DeliveryToken, InboundMessage, Link, Transport};
use crate::wait::after;

/// Number of devices that may connect at the same time. Handshakes are costly at both ends: hundreds of devices that
/// start together take turns, and waiting does not count as a failure.
pub const DIALLING: usize = 16;
/// Silence after which a ping is sent. A dead line is noticed within two of them; hubs allow up to 1177 s (ref §1.5),
/// but routers forget quiet connections after a few minutes.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Time for the answer to CONNECT; the C SDK waits as long (ref §12.4).
const CONNACK_TIMEOUT: Duration = Duration::from_secs(30);
/// Room for the largest message with the longest topic.
pub const MAX_PACKET_BYTES: usize = MAX_MESSAGE_BYTES + 2 * 65_535;
/// Initial size of the buffers of each direction; they grow with messages. Most devices are idle most of the time.
const IDLE_BUFFER: usize = 128;
/// So many bytes are written before more are encoded.
const WRITTEN_AT: usize = 8192;
/// So many acknowledgements may wait to be written; then nothing is read until the server takes some. A server that sends
/// and does not read fills its own buffers then, and not this process's memory.
const MAX_UNSENT_ACKNOWLEDGEMENTS: usize = 256;
/// So many packets more than were asked for may come between two pings: a hub keeps at most 50 messages for a device
/// (ref §12.3), so this is a flood.
const MAX_UNASKED: u32 = 10_000;
/// Time for which a dial holds its turn. A silent server takes longer, but keeps no other device waiting.
const TURN: Duration = Duration::from_secs(5);
/// Time for the server to close after DISCONNECT, so that it has released this connection before the next one.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Creates a codec for packets that are not larger than a hub's.
#[must_use]
pub const fn codec() -> Codec {
    Codec { max_incoming_size: MAX_PACKET_BYTES, max_outgoing_size: MAX_PACKET_BYTES }
}

/// Transport over TCP and TLS.
#[derive(Debug, Clone)]
pub struct MqttTransport {
    /// Permits to connect.
    slots: Arc<Semaphore>,
}

impl MqttTransport {
    /// Creates a transport that opens so many connections at the same time.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots)) }
    }
}

impl Transport for MqttTransport {
    type Link = MqttLink;

    async fn connect(
        &self,
        peer: &Peer,
        login: Login,
        tls: Arc<rustls::ClientConfig>,
    ) -> Result<MqttLink, Failure> {
        // The semaphore is never closed.
        let slot = self.slots.acquire().await;
        let opening = MqttLink::open(peer, login, tls);
        tokio::pin!(opening);
        if let Ok(opened) = tokio::time::timeout(TURN, &mut opening).await {
            return opened;
        }
        drop(slot);
        opening.await
    }
}

/// An accepted connection.
pub struct MqttLink<L = Line> {
    peer: Peer,
    /// In a box: every function that a connection is handed to keeps room for it in the task of its device.
    line: Box<Framed<L, Codec>>,
    waiting: VecDeque<Packet>,
    /// True if bytes may not be written yet.
    unwritten: bool,
    deliveries: Deliveries,
    packet_id: u16,
    /// Number of acknowledgements in `waiting`.
    acknowledgements: usize,
    /// Number of outstanding answers: one for each message with a packet id, subscription and ping.
    expected: u32,
    /// Number of packets beyond those since the last ping.
    unasked: u32,
    keep_alive: Duration,
    ping: Pin<Box<Sleep>>,
    pong_expected: bool,
}

impl MqttLink {
    async fn open(peer: &Peer, login: Login, tls: Arc<rustls::ClientConfig>) -> Result<Self, Failure> {
        Self::over(dial::dial(peer, tls).await?, peer, &login).await
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin + Send> MqttLink<L> {
    /// Logs in over a line.
    async fn over(line: L, peer: &Peer, login: &Login) -> Result<Self, Failure> {
        let mut framed = Framed::with_capacity(line, codec(), IDLE_BUFFER);
        framed.set_backpressure_boundary(WRITTEN_AT);
        let keep_alive = login.keep_alive.max(Duration::from_secs(1));
        let mut link = Self {
            peer: peer.clone(),
            line: Box::new(framed),
            // Room for one: a quiet device needs no more.
            waiting: VecDeque::with_capacity(1),
            unwritten: false,
            deliveries: Deliveries::default(),
            packet_id: 0,
            acknowledgements: 0,
            expected: 0,
            unasked: 0,
            keep_alive,
            ping: Box::pin(tokio::time::sleep(keep_alive)),
            pong_expected: false,
        };
        let answer = tokio::time::timeout(CONNACK_TIMEOUT, link.log_in(login)).await;
        answer.unwrap_or_else(|_| {
            Err(Failure::new(ConnectionReason::Timeout, format!("{peer} did not answer the login in time")))
        })?;
        link.ping.as_mut().reset(after(Instant::now(), keep_alive));
        Ok(link)
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), Failure> {
        let sent = self.line.send(Packet::Connect(login.connect())).await;
        // A server that refuses the certificate says so and closes, and writing may notice the close first.
        let answer = self.line.next().await;
        match (answer, sent) {
            (Some(Ok(Packet::ConnAck(answer))), _) if answer.code == ConnectReturnCode::Success => Ok(()),
            (Some(Ok(Packet::ConnAck(answer))), _) => {
                Err(Failure::refused(&self.peer, answer.code, &login.checks))
            }
            (Some(Ok(_)), _) => Err(Failure::not_mqtt(&self.peer, &"its first packet is not CONNACK")),
            (Some(Err(error)), _) | (None, Err(error)) => Err(Failure::of_line(&self.peer, &error)),
            (None, Ok(())) => Err(Failure::closed(&self.peer)),
        }
    }

    /// Returns the next packet id. Ids cycle through all numbers but 0; the few messages in flight have the newest
    /// ones, so no id is used twice.
    fn next_packet_id(&mut self) -> u16 {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        self.packet_id
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrival, Failure>> {
        loop {
            self.poll_keep_alive(cx)?;
            self.poll_write(cx)?;
            if let Some(token) = self.deliveries.next_written() {
                return Poll::Ready(Ok(Arrival::Delivered(token)));
            }
            if self.acknowledgements >= MAX_UNSENT_ACKNOWLEDGEMENTS {
                // The line is full, and wakes us when it has room again; if it never does, the ping ends it.
                return Poll::Pending;
            }
            let packet = match ready!(Pin::new(&mut self.line).poll_next(cx)) {
                Some(Ok(packet)) => packet,
                Some(Err(error)) => return Poll::Ready(Err(Failure::of_line(&self.peer, &error))),
                None => return Poll::Ready(Err(Failure::closed(&self.peer))),
            };
            self.count()?;
            match packet {
                Packet::PubAck(ack) => {
                    if let Some(token) = self.deliveries.acknowledge(ack.pkid) {
                        return Poll::Ready(Ok(Arrival::Delivered(token)));
                    }
                }
                Packet::Publish(message) => return Poll::Ready(Ok(Arrival::Message(message.into()))),
                Packet::SubAck(answer) => return Poll::Ready(self.subscribed(&answer)),
                Packet::PingResp => self.pong_expected = false,
                _ => {
                    return Poll::Ready(Err(Failure::not_mqtt(
                        &self.peer,
                        &"it sent a packet that only clients may send",
                    )));
                }
            }
        }
    }

    /// Counts a packet that came, and refuses a flood of packets that were not asked for.
    fn count(&mut self) -> Result<(), Failure> {
        match self.expected.checked_sub(1) {
            Some(expected) => self.expected = expected,
            None => self.unasked = self.unasked.saturating_add(1),
        }
        if self.unasked <= MAX_UNASKED {
            return Ok(());
        }
        let (peer, keep_alive) = (&self.peer, self.keep_alive);
        let message = format!(
            "{peer} sent more than {MAX_UNASKED} packets within {keep_alive:?} that this device did not ask for: \
                check that it is an IoT Hub, and which service sends messages to this device"
        );
        Err(Failure::new(ConnectionReason::ProtocolRefused, message))
    }

    fn subscribed(&self, answer: &SubAck) -> Result<Arrival, Failure> {
        if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
            let message = format!(
                "{} refuses the subscription to the answers of DPS: check that the host is a DPS",
                self.peer
            );
            return Err(Failure::new(ConnectionReason::ProtocolRefused, message));
        }
        Ok(Arrival::Subscribed)
    }

    /// Pings even on a busy connection: only the server's answer shows that the line works.
    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        while self.ping.as_mut().poll(cx).is_ready() {
            if std::mem::replace(&mut self.pong_expected, true) {
                let message = format!(
                    "{} did not answer a ping in time: check the network; the agent reconnects",
                    self.peer
                );
                return Err(Failure::new(ConnectionReason::Timeout, message));
            }
            self.waiting.push_back(Packet::PingReq);
            self.unasked = 0;
            self.ping.as_mut().reset(after(Instant::now(), self.keep_alive));
        }
        Ok(())
    }

    /// Writes as much as the line takes now.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let failed = |error| Failure::of_line(&self.peer, &error);
        let mut line = Pin::new(&mut self.line);
        while !self.waiting.is_empty() {
            match line.as_mut().poll_ready(cx) {
                // The line is full, and wakes us when it has room again.
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready.map_err(failed)?,
            }
            if let Some(packet) = self.waiting.pop_front() {
                let without_id = matches!(&packet, Packet::Publish(publish) if publish.pkid == 0);
                match &packet {
                    Packet::PubAck(_) => self.acknowledgements = self.acknowledgements.saturating_sub(1),
                    _ if without_id => self.deliveries.encode(),
                    _ => self.expected = self.expected.saturating_add(1),
                }
                self.unwritten = true;
                line.as_mut().start_send(packet).map_err(failed)?;
            }
        }
        if self.unwritten
            && let Poll::Ready(flushed) = line.poll_flush(cx)
        {
            flushed.map_err(failed)?;
            self.unwritten = false;
            self.deliveries.flush();
        }
        Ok(())
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin + Send> Link for MqttLink<L> {
    fn publish(
        &mut self,
        topic: String,
        qos: QoS,
        body: &Bytes,
        token: DeliveryToken,
    ) -> Result<(), Failure> {
        if !valid_topic(&topic) {
            let message = format!("{}: MQTT cannot publish to the topic {topic:?}", self.peer);
            return Err(Failure::new(ConnectionReason::ProtocolRefused, message));
        }
        let mut publish = Publish::from_bytes(topic, qos, body.clone());
        if qos != QoS::AtMostOnce {
            publish.pkid = self.next_packet_id();
        }
        self.deliveries.add(publish.pkid, token);
        self.waiting.push_back(Packet::Publish(publish));
        Ok(())
    }

    fn subscribe(&mut self, filter: &str) {
        let mut subscribe = Subscribe::new(filter, QoS::AtLeastOnce);
        subscribe.pkid = self.next_packet_id();
        self.waiting.push_back(Packet::Subscribe(subscribe));
    }

    fn acknowledge(&mut self, message: &InboundMessage) {
        if message.packet_id != 0 {
            self.waiting.push_back(Packet::PubAck(PubAck::new(message.packet_id)));
            self.acknowledgements = self.acknowledgements.saturating_add(1);
        }
    }

    async fn next(&mut self) -> Result<Arrival, Failure> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    async fn close(&mut self) {
        let goodbye = async {
            self.line.send(Packet::Disconnect).await?;
            self.line.close().await?;
            while self.line.next().await.is_some_and(|packet| packet.is_ok()) {}
            Ok::<_, rumqttc::mqttbytes::Error>(())
        };
        // A server that does not let go is left alone: dropping the line closes our side.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
    }
}

impl From<Publish> for InboundMessage {
    fn from(message: Publish) -> Self {
        // The library reads no packet id with QoS 0.
        Self { topic: message.topic, payload: message.payload, packet_id: message.pkid }
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "link_paused_tests.rs"]
mod paused_tests;
