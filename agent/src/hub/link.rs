//! One MQTT connection, from CONNECT to its end. The packets are the MQTT library's; when they are written and read is
//! decided here, so that nothing half done is lost when a wait is given up. Talks to the network.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use lanyard_protocol::handoff::status::ConnectionReason;
use rumqttc::mqttbytes::v4::{
    Codec, ConnectReturnCode, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{QoS, valid_topic};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::codec::Framed;

use super::dial::{self, Line};
use super::failure::{Failure, Peer};
use super::login::Login;
use crate::publisher::message::MAX_MESSAGE_BYTES;

/// How many devices of the process may dial at once. Handshakes are costly at both ends: hundreds of devices that
/// start together take turns, and none is given up while it waits for its own.
pub const DIALLING: usize = 16;
/// Silence after which a ping is sent. A dead line is noticed within two of them; hubs allow up to 1177 s (ref §1.5),
/// but routers forget quiet connections after a few minutes.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long the server may take to answer CONNECT; the C SDK waits as long (ref §12.4).
const CONNACK_TIMEOUT: Duration = Duration::from_secs(30);
/// Room for the largest message with the longest topic.
const MAX_PACKET_BYTES: usize = MAX_MESSAGE_BYTES + 2 * 65_535;
/// What the buffers of each direction have room for at first; they grow as messages need it. Most devices of many are
/// idle most of the time.
const IDLE_BUFFER: usize = 128;
/// So many bytes are written before more are encoded.
const WRITTEN_AT: usize = 8192;
/// How long the server may take to close after our DISCONNECT, so that it has let go of this connection before the next.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What happened on a connection.
#[derive(Debug, PartialEq)]
pub enum Arrival {
    /// So many messages without a packet id are written.
    Written(usize),
    /// The server has the message with this packet id.
    Acknowledged(u16),
    /// The server will send what was asked for.
    Subscribed,
    /// The server sent a message; [`Link::acknowledge`] it.
    Message(Publish),
}

/// An accepted connection.
pub struct Link {
    peer: Peer,
    /// In a box: every function that a connection is handed to keeps room for it in the task of its device.
    line: Box<Framed<Line, Codec>>,
    waiting: VecDeque<Packet>,
    /// Whether anything was handed to the line that it may not have written yet.
    unwritten: bool,
    /// How many messages without a packet id are among that.
    unwritten_messages: usize,
    packet_id: u16,
    keep_alive: Duration,
    ping: Pin<Box<Sleep>>,
    pong_owed: bool,
}

impl Link {
    /// Dials and logs in.
    ///
    /// # Errors
    /// [`Failure`] says why the server cannot be reached, is not trusted or refuses the device.
    pub async fn open(
        peer: &Peer,
        login: Login,
        tls: Arc<rustls::ClientConfig>,
        slots: &Semaphore,
    ) -> Result<Self, Failure> {
        // The semaphore is never closed.
        let _slot = slots.acquire().await;
        let line = dial::dial(peer, tls).await?;
        let codec = Codec { max_incoming_size: MAX_PACKET_BYTES, max_outgoing_size: MAX_PACKET_BYTES };
        let mut framed = Framed::with_capacity(line, codec, IDLE_BUFFER);
        framed.set_backpressure_boundary(WRITTEN_AT);
        let keep_alive = login.keep_alive.max(Duration::from_secs(1));
        let mut link = Self {
            peer: peer.clone(),
            line: Box::new(framed),
            // Room for one: a quiet device needs no more.
            waiting: VecDeque::with_capacity(1),
            unwritten: false,
            unwritten_messages: 0,
            packet_id: 0,
            keep_alive,
            ping: Box::pin(tokio::time::sleep(keep_alive)),
            pong_owed: false,
        };
        let answer = tokio::time::timeout(CONNACK_TIMEOUT, link.log_in(&login)).await;
        answer.unwrap_or_else(|_| {
            Err(Failure::new(ConnectionReason::Timeout, format!("{peer} did not answer the login in time")))
        })?;
        link.ping.as_mut().reset(Instant::now() + keep_alive);
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
            (Some(Ok(_)), _) => Err(Failure::not_mqtt(&self.peer, &"it did not answer the login")),
            (Some(Err(error)), _) | (None, Err(error)) => Err(Failure::of_line(&self.peer, &error)),
            (None, Ok(())) => Err(Failure::closed(&self.peer)),
        }
    }

    /// Hands over a message, to be written by [`Link::next`]; gives back its packet id, 0 without one.
    ///
    /// # Errors
    /// [`Failure`] when MQTT knows no such topic.
    pub fn publish(&mut self, topic: String, qos: QoS, body: &Bytes) -> Result<u16, Failure> {
        if !valid_topic(&topic) {
            let message = format!("{}: MQTT cannot publish to the topic {topic:?}", self.peer);
            return Err(Failure::new(ConnectionReason::ProtocolRefused, message));
        }
        let mut publish = Publish::from_bytes(topic, qos, body.clone());
        if qos != QoS::AtMostOnce {
            publish.pkid = self.next_packet_id();
        }
        let packet_id = publish.pkid;
        self.waiting.push_back(Packet::Publish(publish));
        Ok(packet_id)
    }

    /// Asks for messages, to be written by [`Link::next`].
    pub fn subscribe(&mut self, filter: &str) {
        let mut subscribe = Subscribe::new(filter, QoS::AtLeastOnce);
        subscribe.pkid = self.next_packet_id();
        self.waiting.push_back(Packet::Subscribe(subscribe));
    }

    /// Tells the server that its message is dealt with, to be written by [`Link::next`].
    pub fn acknowledge(&mut self, message: &Publish) {
        if message.qos != QoS::AtMostOnce {
            self.waiting.push_back(Packet::PubAck(PubAck::new(message.pkid)));
        }
    }

    /// Ids go round all numbers but 0. The few messages under way are always the newest, so none is used twice.
    fn next_packet_id(&mut self) -> u16 {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        self.packet_id
    }

    /// Writes what waits, keeps the connection alive, and says what happens next. May be given up and called again.
    ///
    /// # Errors
    /// [`Failure`]: the connection is gone.
    pub async fn next(&mut self) -> Result<Arrival, Failure> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrival, Failure>> {
        loop {
            self.poll_keep_alive(cx)?;
            self.poll_write(cx)?;
            if !self.unwritten && self.unwritten_messages > 0 {
                return Poll::Ready(Ok(Arrival::Written(std::mem::take(&mut self.unwritten_messages))));
            }
            let packet = match ready!(Pin::new(&mut self.line).poll_next(cx)) {
                Some(Ok(packet)) => packet,
                Some(Err(error)) => return Poll::Ready(Err(Failure::of_line(&self.peer, &error))),
                None => return Poll::Ready(Err(Failure::closed(&self.peer))),
            };
            match packet {
                Packet::PubAck(ack) => return Poll::Ready(Ok(Arrival::Acknowledged(ack.pkid))),
                Packet::Publish(message) => return Poll::Ready(Ok(Arrival::Message(message))),
                Packet::SubAck(answer) => return Poll::Ready(self.subscribed(&answer)),
                Packet::PingResp => self.pong_owed = false,
                _ => {
                    return Poll::Ready(Err(Failure::not_mqtt(
                        &self.peer,
                        &"it sent what only clients send",
                    )));
                }
            }
        }
    }

    fn subscribed(&self, answer: &SubAck) -> Result<Arrival, Failure> {
        if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
            let message = format!("{} refuses a subscription", self.peer);
            return Err(Failure::new(ConnectionReason::ProtocolRefused, message));
        }
        Ok(Arrival::Subscribed)
    }

    /// Pings whatever else goes on: it is the server's answer that shows a dead line.
    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        while self.ping.as_mut().poll(cx).is_ready() {
            if std::mem::replace(&mut self.pong_owed, true) {
                let message = format!("{} did not answer a ping: the network is gone", self.peer);
                return Err(Failure::new(ConnectionReason::Timeout, message));
            }
            self.waiting.push_back(Packet::PingReq);
            self.ping.as_mut().reset(Instant::now() + self.keep_alive);
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
                self.unwritten_messages += usize::from(without_id);
                self.unwritten = true;
                line.as_mut().start_send(packet).map_err(failed)?;
            }
        }
        if self.unwritten
            && let Poll::Ready(flushed) = line.poll_flush(cx)
        {
            flushed.map_err(failed)?;
            self.unwritten = false;
        }
        Ok(())
    }

    /// Says goodbye and waits a moment until the server has let go; there is nothing to be done with the link any more.
    pub async fn close(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::credential::Credential;
    use crate::hub::trust::Trust;
    use lanyard_protocol::hub::host::HostPort;
    use lanyard_protocol::hub::key::SymmetricKey;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A real TLS server with a certificate of its own CA, which answers every connection's first bytes with `answer`.
    async fn serve(leaf: CertificateParams, answer: &'static [u8]) -> (Peer, String) {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = HostPort::parse(&format!("localhost:{}", listener.local_addr().unwrap().port())).unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let _ = stream.read(&mut [0; 2048]).await;
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        });
        (Peer { role: "hub", at }, pem)
    }

    async fn refusal(peer: &Peer, pem: &str) -> Failure {
        let key = SymmetricKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let login = Login::at_hub(&Credential::of_key(key), "h", "d", None, 1, KEEP_ALIVE);
        let tls = Trust::new(None).unwrap().client(Some(pem.as_bytes()), None).unwrap();
        Link::open(peer, login, tls, &Semaphore::new(1)).await.err().unwrap()
    }

    fn leaf(name: &str) -> CertificateParams {
        CertificateParams::new(vec![name.to_owned()]).unwrap()
    }

    #[tokio::test]
    async fn certificates_that_cannot_be_trusted_say_why() {
        let mut old = leaf("localhost");
        old.not_after = date_time_ymd(2001, 1, 1);
        old.not_before = date_time_ymd(2000, 1, 1);
        let mut young = leaf("localhost");
        young.not_before = date_time_ymd(3000, 1, 1);
        young.not_after = date_time_ymd(3001, 1, 1);
        let cases = [
            (old, "has expired"),
            (young, "is not valid yet"),
            (leaf("other.example"), "is not for the name \"localhost\""),
        ];
        for (leaf, words) in cases {
            let (peer, pem) = serve(leaf, b"").await;
            let failure = refusal(&peer, &pem).await;
            assert_eq!(failure.reason, ConnectionReason::CertificateNotTrusted, "{failure:?}");
            assert!(failure.message.contains(words), "{failure:?}");
        }
        let (peer, _) = serve(leaf("localhost"), b"").await;
        let (_, stranger) = serve(leaf("localhost"), b"").await;
        let failure = refusal(&peer, &stranger).await;
        assert_eq!(failure.reason, ConnectionReason::CertificateNotTrusted);
        assert!(failure.message.contains("trustedCA"), "{failure:?}");
    }

    /// The codes of ref §1.10, as bytes.
    #[tokio::test]
    async fn connack_codes_have_reasons() {
        use ConnectionReason as R;
        let cases: [(&'static [u8], R); 8] = [
            (b"\x20\x02\x00\x01", R::ProtocolRefused),
            (b"\x20\x02\x00\x02", R::ProtocolRefused),
            (b"\x20\x02\x00\x03", R::HubUnavailable),
            (b"\x20\x02\x00\x04", R::Unauthorized),
            (b"\x20\x02\x00\x05", R::Unauthorized),
            (b"", R::ConnectionLost),
            (b"\xd0\x00", R::ConnectionLost),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", R::ConnectionLost),
        ];
        for (answer, reason) in cases {
            let (peer, pem) = serve(leaf("localhost"), answer).await;
            let failure = refusal(&peer, &pem).await;
            assert_eq!(failure.reason, reason, "{answer:?}: {failure:?}");
            assert!(failure.message.contains("localhost"), "{failure:?}");
        }
    }
}
