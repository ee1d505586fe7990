//! Transport of sessions: connects, subscribes, publishes with a token, and reports deliveries. Only traits and their
//! types; the real one is `link`.

use std::sync::Arc;

use bytes::Bytes;

use crate::mqtt::QoS;
use crate::mqtt::failure::{Failure, Peer};
use crate::mqtt::login::Login;

/// Opener of connections.
pub trait Transport: Send + Sync + 'static {
    /// An accepted connection.
    type Link: Link;

    /// Connects and logs in.
    ///
    /// # Errors
    /// [`Failure`] says why the server cannot be reached, is not trusted or refuses the device.
    fn connect(
        &self,
        peer: &Peer,
        login: Login,
        tls: Arc<rustls::ClientConfig>,
    ) -> impl Future<Output = Result<Self::Link, Failure>> + Send;
}

/// Accepted connection, over which several clients can publish and subscribe.
pub trait Link: Send {
    /// Takes a message, to be written by [`Link::next`], which returns the token once the message is delivered.
    ///
    /// # Errors
    /// [`Failure`] when MQTT does not allow the topic.
    fn publish(&mut self, topic: String, qos: QoS, body: &Bytes, token: DeliveryToken)
    -> Result<(), Failure>;

    /// Asks for messages, to be written by [`Link::next`].
    fn subscribe(&mut self, filter: &str);

    /// Tells the server that its message is dealt with, to be written by [`Link::next`].
    fn acknowledge(&mut self, message: &InboundMessage);

    /// Writes what waits, keeps the connection alive, and returns the next arrival. It can be cancelled and called again.
    ///
    /// # Errors
    /// [`Failure`]: the connection is gone.
    fn next(&mut self) -> impl Future<Output = Result<Arrival, Failure>> + Send;

    /// Disconnects and waits a moment until the server has let go; the link is of no use after that.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// Number by which a publisher recognizes its message when it is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryToken(pub u64);

/// Event of a connection.
#[derive(Debug, PartialEq)]
pub enum Arrival {
    /// The server acknowledged a message, or a message with QoS 0 is written.
    Delivered(DeliveryToken),
    /// The server will send what was asked for.
    Subscribed,
    /// The server sent a message; [`Link::acknowledge`] it.
    Message(InboundMessage),
}

/// Message from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct InboundMessage {
    /// Its topic.
    pub topic: String,
    /// Its body.
    pub payload: Bytes,
    /// Number of the acknowledgement that the server waits for; 0 if it does not.
    pub packet_id: u16,
}
