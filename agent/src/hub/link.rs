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

use super::failure::{Failure, Peer};
use crate::publisher::message::MAX_MESSAGE_BYTES;
use crate::publisher::outbox::IN_FLIGHT;

/// Time for name resolution, and again for TCP, TLS and CONNACK together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
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
    pub async fn open(peer: &Peer, login: Login, tls: Arc<rustls::ClientConfig>) -> Result<Self, Failure> {
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
