//! Reasons for closing a connection. MQTT 3.1.1 cannot report them (ref §1.11), so the emulator logs and shows them.
//! Pure.

use lanyard_protocol::hub::topic::TopicError;

use crate::excerpt::excerpt;
use crate::hub::admission::AdmissionError;
use crate::hub::connections::CloseOrder;
use crate::hub::session::TooManySubscriptions;
use crate::hub::subscription::UnsupportedFilter;
use crate::hub::telemetry::TelemetryError;
use crate::mqtt::packet::PacketError;

/// Every end of a connection.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CloseReason {
    /// Properly: no last will.
    #[error("the device sent DISCONNECT")]
    Disconnected,
    /// The peer closed the connection without DISCONNECT.
    #[error("the device is gone: {0}")]
    Gone(String),
    /// Not MQTT 3.1.1, or not what a device sends.
    #[error("the device sent a packet that cannot be parsed: {0}")]
    Malformed(String),
    /// Ref §1.10: CONNACK 1.
    #[error("the client does not speak MQTT 3.1.1")]
    ProtocolLevel,
    /// Ref §1.10.
    #[error("refused: {0}")]
    Refused(String),
    /// The first packet must be CONNECT, and there must be one only.
    #[error("CONNECT did not come first, or came twice")]
    OutOfOrder,
    /// No CONNECT in time.
    #[error("no CONNECT came within {0} seconds")]
    NoConnect(u64),
    /// Half-open connections must keep no device out.
    #[error("it had not logged in, and a newer connection replaced it: there are too many")]
    Displaced,
    /// Ref §1.6.
    #[error("a message of QoS 2; a hub takes 0 and 1")]
    ExactlyOnce,
    /// Ref §1.11.
    #[error("a message to {topic:?}: {error}")]
    Topic {
        /// Topic of the message.
        topic: String,
        /// Error of the topic.
        error: TopicError,
    },
    /// Ref §4.5, §4.3.
    #[error("{0}")]
    Telemetry(TelemetryError),
    /// Ref §8.7.
    #[error("a message of {bytes} bytes; DPS takes {limit}")]
    TooLargeForDps {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Ref §1.11.
    #[error("{0}")]
    Filter(UnsupportedFilter),
    /// Ref §1.3.
    #[error("{0}")]
    Subscriptions(TooManySubscriptions),
    /// Ref §1.5.
    #[error("nothing came for {0} seconds, one and a half times the keep-alive")]
    KeepAlive(u64),
    /// Ref §1.12.
    #[error("the token expired")]
    TokenExpired,
    /// Ref §1.9.
    #[error("the same device id connected again")]
    Takeover,
    /// A fault on purpose.
    #[error("{0}")]
    Fault(String),
    /// Through the controls.
    #[error("requested through the controls")]
    Requested,
    /// Ref §14.6 row 4.
    #[error("the device was disabled")]
    Disabled,
    /// Ref §1.11.
    #[error("the device was removed from the registry")]
    Removed,
    /// The emulator ends.
    #[error("the emulator shuts down")]
    Shutdown,
}

impl CloseReason {
    /// Returns the reason for a message to a topic to which devices must not publish.
    #[must_use]
    pub fn topic(topic: &str, error: TopicError) -> Self {
        Self::Topic { topic: excerpt(topic), error }
    }

    /// Returns the reason for a subscription to a filter that hubs do not support.
    #[must_use]
    pub fn filter(filter: &str) -> Self {
        Self::Filter(UnsupportedFilter(excerpt(filter)))
    }
}

impl From<PacketError> for CloseReason {
    fn from(error: PacketError) -> Self {
        match error {
            PacketError::ProtocolLevel => Self::ProtocolLevel,
            other => Self::Malformed(other.to_string()),
        }
    }
}

impl From<AdmissionError> for CloseReason {
    fn from(error: AdmissionError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<CloseOrder> for CloseReason {
    fn from(order: CloseOrder) -> Self {
        match order {
            CloseOrder::Takeover => Self::Takeover,
            CloseOrder::Requested => Self::Requested,
            CloseOrder::Disabled => Self::Disabled,
            CloseOrder::Removed => Self::Removed,
        }
    }
}
