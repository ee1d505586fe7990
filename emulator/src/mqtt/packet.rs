//! Packets that a device sends, in MQTT 3.1.1, parsed strictly. Pure.

use bytes::Bytes;
use mqtt_protocol_core::mqtt::ArcPayload;
use mqtt_protocol_core::mqtt::packet::{Qos, v3_1_1};
use mqtt_protocol_core::mqtt::result_code::MqttError;
use zeroize::Zeroizing;

use super::frame::Frame;

/// Reason for closing the connection after a packet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PacketError {
    /// A CONNECT of MQTT 3.1 or 5, or with the bridge bit: answered with CONNACK 1 (ref §1.10).
    #[error("the client does not speak MQTT 3.1.1")]
    ProtocolLevel,
    /// Wrong inside.
    #[error("{packet} is malformed: {detail}")]
    Malformed {
        /// Its name.
        packet: &'static str,
        /// Error of the codec.
        detail: String,
    },
    /// A packet of QoS 2, or one that only a server sends (ref §14.5).
    #[error("a device must not send packet type {0}")]
    Type(u8),
}

/// A packet from a device.
#[derive(Debug)]
pub enum Packet {
    /// Always the first one.
    Connect(Box<Connect>),
    /// A message.
    Publish(Publish),
    /// The device has a message of QoS 1.
    Puback(u16),
    /// Filters with the QoS asked for.
    Subscribe(u16, Vec<(String, u8)>),
    /// Filters to remove.
    Unsubscribe(u16, Vec<String>),
    /// Keep-alive.
    Pingreq,
    /// End of the connection without a last will.
    Disconnect,
}

/// CONNECT packet of a device.
pub struct Connect {
    /// To be its device id.
    pub client_id: String,
    /// Hub or DPS, and who (ref §1.2, §8.1).
    pub user_name: Option<String>,
    /// The token. Never logged.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// Drops earlier subscriptions.
    pub clean_session: bool,
    /// Seconds.
    pub keep_alive: u16,
    /// Published when the connection ends without DISCONNECT.
    pub will: Option<Will>,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// A last will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// The telemetry topic with properties (ref §1.7).
    pub topic: String,
    /// The body.
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Retain flag of the packet.
    pub retain: bool,
}

/// A message from a device.
#[derive(Debug)]
pub struct Publish(v3_1_1::Publish);

struct Payload(ArcPayload);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Publish {
    /// Returns the topic, including properties.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.topic_name()
    }

    /// Returns the QoS: 0, 1 or 2.
    #[must_use]
    pub fn qos(&self) -> u8 {
        self.0.qos() as u8
    }

    /// Returns the packet id, which only messages of QoS 1 and 2 have.
    #[must_use]
    pub fn id(&self) -> Option<u16> {
        self.0.packet_id()
    }

    /// Returns the retain flag.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.0.retain()
    }

    /// Returns the body as it was received, without another copy.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        Bytes::from_owner(Payload(self.0.payload().clone()))
    }
}

/// Reads one packet.
///
/// # Errors
/// [`PacketError`]: the connection ends.
pub fn read(frame: &Frame) -> Result<Packet, PacketError> {
    let rest = &frame.rest;
    let flags = frame.first & 0x0f;
    let empty =
        |packet, value| if rest.is_empty() { Ok(value) } else { Err(malformed(packet, "it has a body")) };
    match (frame.first >> 4, flags) {
        (1, 0) => read_connect(rest).map(|connect| Packet::Connect(Box::new(connect))),
        (3, _) => read_publish(flags, frame).map(Packet::Publish),
        (4, 0) => {
            let (packet, used) = v3_1_1::Puback::parse(rest).map_err(codec("PUBACK"))?;
            whole("PUBACK", used, rest)?;
            Ok(Packet::Puback(packet.packet_id()))
        }
        (8, 2) => read_subscribe(rest),
        (10, 2) => read_unsubscribe(rest),
        (12, 0) => empty("PINGREQ", Packet::Pingreq),
        (14, 0) => empty("DISCONNECT", Packet::Disconnect),
        (1 | 4 | 8 | 10 | 12 | 14, _) => Err(malformed("the packet", "its flags are wrong")),
        (other, _) => Err(PacketError::Type(other)),
    }
}

fn read_connect(rest: &[u8]) -> Result<Connect, PacketError> {
    // MQTT 3.1 calls itself MQIsdp; the bridge bit is the level's highest.
    if rest.starts_with(b"\0\x06MQIsdp")
        || (rest.starts_with(b"\0\x04MQTT") && rest.get(6).is_some_and(|&l| l != 4))
    {
        return Err(PacketError::ProtocolLevel);
    }
    let (packet, used) = v3_1_1::Connect::parse(rest).map_err(codec("CONNECT"))?;
    whole("CONNECT", used, rest)?;
    let flags = rest.get(7).copied().unwrap_or_default();
    let will_bits_alone = flags & 0x04 == 0 && flags & 0x38 != 0;
    if flags & 0x01 != 0 || will_bits_alone || flags & 0x18 == 0x18 {
        return Err(malformed("CONNECT", "its flags are wrong"));
    }
    let will = packet.will_flag().then(|| Will {
        topic: packet.will_topic().unwrap_or_default().to_owned(),
        payload: Bytes::copy_from_slice(packet.will_payload().unwrap_or_default()),
        qos: packet.will_qos() as u8,
        retain: packet.will_retain(),
    });
    Ok(Connect {
        client_id: packet.client_id().to_owned(),
        user_name: packet.user_name().map(str::to_owned),
        password: packet.password().map(|password| Zeroizing::new(password.to_vec())),
        clean_session: packet.clean_session(),
        keep_alive: packet.keep_alive(),
        will,
    })
}

fn read_publish(flags: u8, frame: &Frame) -> Result<Publish, PacketError> {
    let (packet, used) = v3_1_1::Publish::parse(flags, frame.rest.clone()).map_err(codec("PUBLISH"))?;
    whole("PUBLISH", used, &frame.rest)?;
    if packet.packet_id() == Some(0) {
        return Err(malformed("PUBLISH", "its packet id is 0"));
    }
    if packet.qos() == Qos::AtMostOnce && packet.dup() {
        return Err(malformed("PUBLISH", "it is a duplicate of QoS 0"));
    }
    Ok(Publish(packet))
}

fn read_subscribe(rest: &[u8]) -> Result<Packet, PacketError> {
    let (packet, used) = v3_1_1::Subscribe::parse(rest).map_err(codec("SUBSCRIBE"))?;
    whole("SUBSCRIBE", used, rest)?;
    if packet.packet_id() == 0 {
        return Err(malformed("SUBSCRIBE", "its packet id is 0"));
    }
    let filters = packet.entries().iter().map(|entry| {
        let options = entry.sub_opts().to_buffer()[0];
        // MQTT 5 keeps more in this byte; MQTT 3.1.1 wants zeros there.
        if options > 2 {
            Err(malformed("SUBSCRIBE", "its QoS is above 2"))
        } else {
            Ok((entry.topic_filter().to_owned(), options))
        }
    });
    Ok(Packet::Subscribe(packet.packet_id(), filters.collect::<Result<_, _>>()?))
}

fn read_unsubscribe(rest: &[u8]) -> Result<Packet, PacketError> {
    let (packet, used) = v3_1_1::Unsubscribe::parse(rest).map_err(codec("UNSUBSCRIBE"))?;
    whole("UNSUBSCRIBE", used, rest)?;
    if packet.packet_id() == 0 {
        return Err(malformed("UNSUBSCRIBE", "its packet id is 0"));
    }
    Ok(Packet::Unsubscribe(
        packet.packet_id(),
        packet.entries().iter().map(|filter| filter.as_str().to_owned()).collect(),
    ))
}

fn whole(packet: &'static str, used: usize, rest: &[u8]) -> Result<(), PacketError> {
    if used == rest.len() { Ok(()) } else { Err(malformed(packet, "bytes are left over behind it")) }
}

fn codec(packet: &'static str) -> impl Fn(MqttError) -> PacketError {
    move |error| PacketError::Malformed { packet, detail: format!("{error:?}") }
}

fn malformed(packet: &'static str, detail: &str) -> PacketError {
    PacketError::Malformed { packet, detail: detail.to_owned() }
}
