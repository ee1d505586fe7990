//! Packets that hub and DPS send, in MQTT 3.1.1. Pure.

use bytes::BytesMut;
use mqtt_protocol_core::mqtt::packet::{Qos, v3_1_1};
use mqtt_protocol_core::mqtt::result_code::{ConnectReturnCode, MqttError, SubackReturnCode};

/// Return code of a refused CONNECT (ref §1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 1: not MQTT 3.1.1.
    ProtocolLevel,
    /// 2: no client id.
    ClientId,
    /// 3: no such hub.
    ServerUnavailable,
    /// 4: bad user name or password; only a fault uses it.
    BadCredentials,
    /// 5: everything about keys, tokens and device states.
    NotAuthorized,
}

impl Refusal {
    /// All codes.
    pub const ALL: [Self; 5] = [
        Self::ProtocolLevel,
        Self::ClientId,
        Self::ServerUnavailable,
        Self::BadCredentials,
        Self::NotAuthorized,
    ];

    /// Returns the return code of the CONNACK.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.return_code() as u8
    }

    const fn return_code(self) -> ConnectReturnCode {
        match self {
            Self::ProtocolLevel => ConnectReturnCode::UnacceptableProtocolVersion,
            Self::ClientId => ConnectReturnCode::IdentifierRejected,
            Self::ServerUnavailable => ConnectReturnCode::ServerUnavailable,
            Self::BadCredentials => ConnectReturnCode::BadUserNameOrPassword,
            Self::NotAuthorized => ConnectReturnCode::NotAuthorized,
        }
    }
}

/// Writes a CONNACK with code 0, which accepts the connection.
pub fn accept(out: &mut BytesMut, session_present: bool) {
    connack(out, session_present, ConnectReturnCode::Accepted);
}

/// Writes a CONNACK with the reason to close the connection.
pub fn refuse(out: &mut BytesMut, refusal: Refusal) {
    connack(out, false, refusal.return_code());
}

fn connack(out: &mut BytesMut, session_present: bool, code: ConnectReturnCode) {
    let packet = v3_1_1::Connack::builder().session_present(session_present).return_code(code).build();
    out.extend_from_slice(
        &packet.expect("a CONNACK with both its fields is complete").to_continuous_buffer(),
    );
}

/// Confirms a PUBLISH. `id` is not zero.
pub fn puback(out: &mut BytesMut, id: u16) {
    let packet = v3_1_1::Puback::builder().packet_id(id).build();
    out.extend_from_slice(&packet.expect("a PUBACK with an id is complete").to_continuous_buffer());
}

/// Confirms a SUBSCRIBE with the QoS granted to each filter, 0 or 1. `id` is not zero, and there is a filter.
pub fn suback(out: &mut BytesMut, id: u16, granted: &[u8]) {
    let codes = granted.iter().map(|qos| {
        if *qos == 0 { SubackReturnCode::SuccessMaximumQos0 } else { SubackReturnCode::SuccessMaximumQos1 }
    });
    let packet = v3_1_1::Suback::builder().packet_id(id).return_codes(codes.collect()).build();
    out.extend_from_slice(
        &packet.expect("a SUBACK with an id and a code is complete").to_continuous_buffer(),
    );
}

/// Confirms an UNSUBSCRIBE. `id` is not zero.
pub fn unsuback(out: &mut BytesMut, id: u16) {
    let packet = v3_1_1::Unsuback::builder().packet_id(id).build();
    out.extend_from_slice(&packet.expect("an UNSUBACK with an id is complete").to_continuous_buffer());
}

/// Answers a PINGREQ.
pub fn pingresp(out: &mut BytesMut) {
    out.extend_from_slice(&v3_1_1::Pingresp::new().to_continuous_buffer());
}

/// Writes a message to the device, of QoS 1 when `id` is given.
///
/// # Errors
/// When `topic` is no topic, because it echoes a wildcard of the device.
pub fn publish(out: &mut BytesMut, topic: &str, id: Option<u16>, payload: &[u8]) -> Result<(), MqttError> {
    let packet = v3_1_1::Publish::builder().topic_name(topic)?.payload(payload);
    let packet = match id {
        Some(id) => packet.qos(Qos::AtLeastOnce).packet_id(id),
        None => packet.qos(Qos::AtMostOnce),
    };
    out.extend_from_slice(&packet.build()?.to_continuous_buffer());
    Ok(())
}
