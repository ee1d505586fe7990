//! One MQTT connection, from dialling to its end; never a second one by itself. Talks to the network.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use lanyard_protocol::handoff::status::ConnectionReason;
use lanyard_protocol::hub::sas::SasToken;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions, QoS, TlsConfiguration,
    Transport,
};

use tokio::sync::Semaphore;

use super::failure::{Failure, Peer};
use crate::publisher::message::MAX_MESSAGE_BYTES;
use crate::publisher::outbox::IN_FLIGHT;

/// Time for name resolution, and again for TCP, TLS and CONNACK together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How many devices of the process may dial at once. Handshakes are costly at both ends: hundreds of devices that
/// start together take turns, and none is given up while it waits for its own.
pub const DIALLING: usize = 16;
/// Silence after which a ping is sent. A dead line is noticed within two of them; hubs allow up to 1177 s (ref §1.5),
/// but routers forget quiet connections after a few minutes.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Room for the largest message with the longest topic.
const MAX_PACKET_BYTES: usize = MAX_MESSAGE_BYTES + 2 * 65_535;
/// Requests beside the messages in flight: subscriptions and the end.
const OTHER_REQUESTS: usize = 8;
/// How long the server may take to close after our DISCONNECT, so that it has let go of this connection before the next.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Who the device says it is.
pub struct Login {
    /// The MQTT client id.
    pub client_id: String,
    /// The MQTT user name.
    pub user_name: String,
    /// The MQTT password.
    pub token: SasToken,
    /// Whether the server forgets subscriptions when the connection ends.
    pub clean_session: bool,
    /// Silence after which a ping is sent.
    pub keep_alive: Duration,
}

/// An accepted connection.
pub struct Link {
    peer: Peer,
    client: AsyncClient,
    /// The library's event loop as a stream: its next event may be awaited and given up without losing what is half
    /// done, and it ends at the first error, where the library would dial again with the old password.
    events: BoxStream<'static, Result<Event, ConnectionError>>,
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
        resolve(peer).await?;
        let mut options = MqttOptions::new(login.client_id, peer.at.host(), peer.at.port());
        options
            .set_credentials(login.user_name, login.token.expose())
            .set_clean_session(login.clean_session)
            .set_keep_alive(login.keep_alive.max(Duration::from_secs(1)))
            .set_inflight(u16::try_from(IN_FLIGHT).unwrap_or(u16::MAX))
            .set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES)
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
        let (client, mut events) = AsyncClient::new(options, IN_FLIGHT + OTHER_REQUESTS);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        events.set_network_options(network);
        // The first poll dials and ends with CONNACK.
        events.poll().await.map_err(|error| Failure::from_connection(peer, &error))?;
        Ok(Self { peer: peer.clone(), client, events: stream::unfold(Some(events), step).boxed() })
    }

    /// What happens next. May be given up and called again.
    ///
    /// # Errors
    /// [`Failure`]: the connection is gone.
    pub async fn next(&mut self) -> Result<Event, Failure> {
        match self.events.next().await {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Failure::from_connection(&self.peer, &error)),
            None => Err(Failure::new(
                ConnectionReason::ConnectionLost,
                format!("{} closed the connection", self.peer),
            )),
        }
    }

    /// Hands over a message, to be written by [`Link::next`].
    ///
    /// # Errors
    /// [`Failure`] when the topic cannot be published to, or more than agreed is under way.
    pub fn publish(&self, topic: String, qos: QoS, body: &Bytes) -> Result<(), Failure> {
        // The form that does not copy the body waits only while the queue is full, and the queue has room for all.
        match self.client.publish_bytes(topic, qos, false, body.clone()).now_or_never() {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => {
                let message = format!("{}: a message was not taken by the connection", self.peer);
                Err(Failure::new(ConnectionReason::ConnectionLost, message))
            }
        }
    }

    /// Asks for messages, to be written by [`Link::next`].
    ///
    /// # Errors
    /// [`Failure`] when more than agreed is under way.
    pub fn subscribe(&self, filter: &str) -> Result<(), Failure> {
        self.client.try_subscribe(filter, QoS::AtLeastOnce).map_err(|_| {
            let message = format!("{}: a subscription was not taken by the connection", self.peer);
            Failure::new(ConnectionReason::ConnectionLost, message)
        })
    }

    /// Says goodbye and waits a moment until the server has let go.
    pub async fn close(mut self) {
        if self.client.try_disconnect().is_ok() {
            let gone = async { while self.next().await.is_ok() {} };
            // A server that keeps the connection open is left alone: dropping it closes our side.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, gone).await;
        }
    }
}

async fn step(events: Option<EventLoop>) -> Option<(Result<Event, ConnectionError>, Option<EventLoop>)> {
    let mut events = events?;
    match events.poll().await {
        Ok(event) => Some((Ok(event), Some(events))),
        Err(error) => Some((Err(error), None)),
    }
}

/// The library resolves the name again, but does not tell a wrong name from a wrong port.
async fn resolve(peer: &Peer) -> Result<(), Failure> {
    let lookup = tokio::net::lookup_host((peer.at.host(), peer.at.port()));
    match tokio::time::timeout(CONNECT_TIMEOUT, lookup).await {
        Ok(Ok(mut addresses)) => match addresses.next() {
            Some(_) => Ok(()),
            None => Err(Failure::not_found(peer, &std::io::Error::other("it has no address"))),
        },
        Ok(Err(error)) => Err(Failure::not_found(peer, &error)),
        Err(_) => Err(Failure::not_found(peer, &std::io::Error::other("the DNS does not answer"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let login = Login {
            client_id: "d".to_owned(),
            user_name: "h/d/".to_owned(),
            token: SasToken::sign(&key, "h/devices/d", 1, None),
            clean_session: false,
            keep_alive: KEEP_ALIVE,
        };
        let tls = Trust::new(None).unwrap().client(Some(pem.as_bytes())).unwrap();
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
