//! MQTT topics of hub and DPS, both ways (ref §4.1, §5.1, §6.1, §7, §8.2). Pure.
//!
//! Ids in topics are not percent-encoded (ref §1.2).

use super::property_bag::{BagError, PropertyBag};

/// Filter for the answers of DPS (ref §8.2).
pub const DPS_RESPONSES: &str = "$dps/registrations/res/#";
/// Filter for answers to twin requests (ref §6.1).
pub const TWIN_RESPONSES: &str = "$iothub/twin/res/#";
/// Filter for changes of desired properties (ref §6.1).
pub const TWIN_DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
/// Filter for direct method calls (ref §7).
pub const METHOD_REQUESTS: &str = "$iothub/methods/POST/#";

const DPS_REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?";
const DPS_POLL: &str = "$dps/registrations/GET/iotdps-get-operationstatus/?";
const DPS_RESPONSE: &str = "$dps/registrations/res/";
const TWIN_GET: &str = "$iothub/twin/GET/?";
const TWIN_REPORTED: &str = "$iothub/twin/PATCH/properties/reported/?";
const TWIN_RESPONSE: &str = "$iothub/twin/res/";
const TWIN_DESIRED_PATCH: &str = "$iothub/twin/PATCH/properties/desired/?";
const METHOD_REQUEST: &str = "$iothub/methods/POST/";
const METHOD_RESPONSE: &str = "$iothub/methods/res/";

/// Error of a topic to which a device must not publish; the hub closes the connection (ref §1.11).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TopicError {
    /// The topic is not documented.
    #[error("no device may publish to this topic")]
    Unknown,
    /// The topic belongs to another device or module.
    #[error("the topic belongs to another identity")]
    OtherIdentity,
    /// `$rid` or another required parameter is missing or not a number.
    #[error("the topic lacks a valid {0}")]
    Parameter(&'static str),
    /// The property bag cannot be read.
    #[error("the topic's property bag is wrong: {0}")]
    Bag(#[source] BagError),
}

/// Message that a device publishes to a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToHub<'a> {
    /// Telemetry (ref §4.1).
    Telemetry(PropertyBag),
    /// A request for the twin (ref §6.1).
    TwinGet {
        /// Id of the request, which the answer repeats.
        rid: &'a str,
    },
    /// A patch of the reported properties (ref §6.1).
    TwinReported {
        /// Id of the request, which the answer repeats.
        rid: &'a str,
    },
    /// The answer to a direct method (ref §7).
    MethodResponse {
        /// Status for the caller, chosen by the device.
        status: i32,
        /// Id of the request.
        rid: &'a str,
    },
}

impl<'a> ToHub<'a> {
    /// Reads a topic that the device `device_id` (or its module) published to.
    ///
    /// # Errors
    /// [`TopicError`]: the hub closes the connection.
    pub fn parse(topic: &'a str, device_id: &str, module_id: Option<&str>) -> Result<Self, TopicError> {
        if let Some(rest) = topic.strip_prefix("devices/") {
            let bag = telemetry_bag(rest, device_id, module_id)?;
            return PropertyBag::parse(bag).map(Self::Telemetry).map_err(TopicError::Bag);
        }
        if let Some(query) = topic.strip_prefix(TWIN_GET) {
            return Ok(Self::TwinGet { rid: required(query, "$rid")? });
        }
        if let Some(query) = topic.strip_prefix(TWIN_REPORTED) {
            return Ok(Self::TwinReported { rid: required(query, "$rid")? });
        }
        if let Some((status, query)) =
            topic.strip_prefix(METHOD_RESPONSE).and_then(|rest| rest.split_once("/?"))
        {
            let status = status.parse().map_err(|_| TopicError::Parameter("status"))?;
            return Ok(Self::MethodResponse { status, rid: required(query, "$rid")? });
        }
        Err(TopicError::Unknown)
    }
}

/// Message that a device publishes to DPS (ref §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToDps<'a> {
    /// Request for a hub.
    Register {
        /// Id of the request, which the answer repeats.
        rid: &'a str,
    },
    /// Request for the status of a registration.
    Poll {
        /// Id of the request, which the answer repeats.
        rid: &'a str,
        /// Id of the operation, from the answer to the registration.
        operation_id: &'a str,
    },
}

impl<'a> ToDps<'a> {
    /// Reads a topic that a device published to DPS.
    ///
    /// # Errors
    /// [`TopicError`]: DPS closes the connection.
    pub fn parse(topic: &'a str) -> Result<Self, TopicError> {
        if let Some(query) = topic.strip_prefix(DPS_REGISTER) {
            return Ok(Self::Register { rid: required(query, "$rid")? });
        }
        if let Some(query) = topic.strip_prefix(DPS_POLL) {
            return Ok(Self::Poll {
                rid: required(query, "$rid")?,
                operation_id: required(query, "operationId")?,
            });
        }
        Err(TopicError::Unknown)
    }
}

impl std::fmt::Display for ToDps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Register { rid } => write!(f, "{DPS_REGISTER}$rid={rid}"),
            Self::Poll { rid, operation_id } => write!(f, "{DPS_POLL}$rid={rid}&operationId={operation_id}"),
        }
    }
}

/// Message that DPS publishes to a device (ref §8.2). `$rid` comes first, because the Python SDK reads it there (ref
/// §0.3 rule 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromDps<'a> {
    /// Status as in HTTP.
    pub status: u16,
    /// Id of the request.
    pub rid: &'a str,
    /// Seconds to wait before the next request.
    pub retry_after: Option<u64>,
}

impl<'a> FromDps<'a> {
    /// Reads an answer's topic, its parameters in any order.
    ///
    /// # Errors
    /// [`TopicError`] for other topics.
    pub fn parse(topic: &'a str) -> Result<Self, TopicError> {
        let rest = topic.strip_prefix(DPS_RESPONSE).ok_or(TopicError::Unknown)?;
        let (status, query) = rest.split_once("/?").ok_or(TopicError::Unknown)?;
        Ok(Self {
            status: status.parse().map_err(|_| TopicError::Parameter("status"))?,
            rid: required(query, "$rid")?,
            retry_after: match parameter(query, "retry-after") {
                Some(text) => Some(text.parse().map_err(|_| TopicError::Parameter("retry-after"))?),
                None => None,
            },
        })
    }
}

impl std::fmt::Display for FromDps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{DPS_RESPONSE}{}/?$rid={}", self.status, self.rid)?;
        self.retry_after.map_or(Ok(()), |seconds| write!(f, "&retry-after={seconds}"))
    }
}

/// Message that a hub publishes to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromHub<'a> {
    /// A cloud-to-device message (ref §5.1).
    CloudToDevice(PropertyBag),
    /// The answer to a twin request (ref §6.1).
    TwinResponse {
        /// Status as in HTTP.
        status: u16,
        /// Id of the request.
        rid: &'a str,
        /// The new version of the reported properties.
        version: Option<u64>,
    },
    /// Desired properties changed (ref §6.1).
    TwinDesired {
        /// The new version of the desired properties.
        version: u64,
    },
    /// A direct method (ref §7).
    Method {
        /// Name of the method, as in the topic.
        name: &'a str,
        /// Id of the request, which the answer must repeat.
        rid: &'a str,
    },
}

impl<'a> FromHub<'a> {
    /// Reads a topic that the hub sent to `device_id`.
    ///
    /// # Errors
    /// [`TopicError`] for topics that are not documented.
    pub fn parse(topic: &'a str, device_id: &str) -> Result<Self, TopicError> {
        if let Some(rest) = topic.strip_prefix("devices/") {
            let rest = rest.strip_prefix(device_id).ok_or(TopicError::OtherIdentity)?;
            let bag = rest.strip_prefix("/messages/devicebound/").ok_or(TopicError::Unknown)?;
            return PropertyBag::parse(bag).map(Self::CloudToDevice).map_err(TopicError::Bag);
        }
        if let Some((status, query)) =
            topic.strip_prefix(TWIN_RESPONSE).and_then(|rest| rest.split_once("/?"))
        {
            return Ok(Self::TwinResponse {
                status: status.parse().map_err(|_| TopicError::Parameter("status"))?,
                rid: required(query, "$rid")?,
                version: match parameter(query, "$version") {
                    Some(text) => Some(text.parse().map_err(|_| TopicError::Parameter("$version"))?),
                    None => None,
                },
            });
        }
        if let Some(query) = topic.strip_prefix(TWIN_DESIRED_PATCH) {
            let version =
                required(query, "$version")?.parse().map_err(|_| TopicError::Parameter("$version"))?;
            return Ok(Self::TwinDesired { version });
        }
        if let Some((name, query)) = topic.strip_prefix(METHOD_REQUEST).and_then(|rest| rest.split_once("/?"))
        {
            return Ok(Self::Method { name, rid: required(query, "$rid")? });
        }
        Err(TopicError::Unknown)
    }
}

/// Returns the topic for a device's telemetry, with its properties (ref §4.1).
#[must_use]
pub fn telemetry(device_id: &str, properties: &PropertyBag) -> String {
    format!("devices/{device_id}/messages/events/{properties}")
}

/// Returns the filter for cloud-to-device messages (ref §5.1).
#[must_use]
pub fn cloud_to_device(device_id: &str) -> String {
    format!("devices/{device_id}/messages/devicebound/#")
}

/// Returns the property bag after `…/messages/events`, if the topic belongs to the identity. The slash before an empty bag
/// may be missing (ref §4.1).
fn telemetry_bag<'a>(rest: &'a str, device_id: &str, module_id: Option<&str>) -> Result<&'a str, TopicError> {
    let own = rest.strip_prefix(device_id).and_then(|rest| match module_id {
        None => Some(rest),
        Some(module) => rest.strip_prefix("/modules/")?.strip_prefix(module),
    });
    let bag = own.and_then(|rest| rest.strip_prefix("/messages/events"));
    match bag {
        Some("") => Ok(""),
        Some(bag) => bag.strip_prefix('/').ok_or(TopicError::Unknown),
        None if rest.contains("/messages/events") => Err(TopicError::OtherIdentity),
        None => Err(TopicError::Unknown),
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn required<'a>(query: &'a str, name: &'static str) -> Result<&'a str, TopicError> {
    parameter(query, name).filter(|value| !value.is_empty()).ok_or(TopicError::Parameter(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ref §4.1 and §4.2.
    #[test]
    fn telemetry_topics_are_read_and_written() {
        let parse = |topic| ToHub::parse(topic, "dev1", None);
        let bag = |topic| match parse(topic).unwrap() {
            ToHub::Telemetry(bag) => bag,
            other => unreachable!("{other:?}"),
        };
        assert_eq!(bag("devices/dev1/messages/events/"), PropertyBag::new());
        assert_eq!(bag("devices/dev1/messages/events"), PropertyBag::new());
        assert_eq!(bag("devices/dev1/messages/events/location=abcd&id=12345").get("id"), Some(Some("12345")));
        assert_eq!(bag("devices/dev1/messages/events/?k=v/").get("k"), Some(Some("v")));
        assert_eq!(
            bag("devices/dev1/messages/events/$.ct=application%2Fjson%3Bcharset%3Dutf-8").get("$.ct"),
            Some(Some("application/json;charset=utf-8"))
        );
        assert_eq!(parse("devices/dev2/messages/events/"), Err(TopicError::OtherIdentity));
        assert_eq!(parse("devices/dev1/messages/Events/"), Err(TopicError::Unknown));
        assert_eq!(parse("devices/dev1/messages/eventsx"), Err(TopicError::Unknown));
        assert_eq!(parse("devices/dev1/modules/m/messages/events/"), Err(TopicError::OtherIdentity));
        assert!(ToHub::parse("devices/dev1/modules/m/messages/events/", "dev1", Some("m")).is_ok());
        assert!(ToHub::parse("devices/a%b#c/messages/events/", "a%b#c", None).is_ok());
        assert!(matches!(parse("devices/dev1/messages/events/a=%"), Err(TopicError::Bag(_))));
        let properties = [("$.ct", "application/json"), ("$.ce", "utf-8"), ("k", "v")].into_iter().collect();
        assert_eq!(
            telemetry("dev1", &properties),
            "devices/dev1/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8&k=v"
        );
    }

    /// Ref §6.1, §7.
    #[test]
    fn twin_and_method_topics_are_read() {
        let parse = |topic| ToHub::parse(topic, "dev1", None);
        assert_eq!(parse("$iothub/twin/GET/?$rid=1"), Ok(ToHub::TwinGet { rid: "1" }));
        assert_eq!(
            parse("$iothub/twin/PATCH/properties/reported/?$rid=a-b"),
            Ok(ToHub::TwinReported { rid: "a-b" })
        );
        assert_eq!(
            parse("$iothub/methods/res/200/?$rid=1a"),
            Ok(ToHub::MethodResponse { status: 200, rid: "1a" })
        );
        assert_eq!(parse("$iothub/twin/get/?$rid=1"), Err(TopicError::Unknown));
        assert_eq!(parse("$iothub/twin/GET/?rid=1"), Err(TopicError::Parameter("$rid")));

        let parse = |topic| FromHub::parse(topic, "dev1");
        assert_eq!(
            parse("$iothub/twin/res/204/?$rid=x&$version=7"),
            Ok(FromHub::TwinResponse { status: 204, rid: "x", version: Some(7) })
        );
        assert_eq!(
            parse("$iothub/twin/PATCH/properties/desired/?$version=13"),
            Ok(FromHub::TwinDesired { version: 13 })
        );
        assert_eq!(
            parse("$iothub/methods/POST/reboot/?$rid=1a"),
            Ok(FromHub::Method { name: "reboot", rid: "1a" })
        );
        let Ok(FromHub::CloudToDevice(bag)) = parse(
            "devices/dev1/messages/devicebound/%24.mid=m-1&%24.to=%2Fdevices%2Fdev1%2Fmessages%2FdeviceBound&iothub-ack=full&prop1&prop2=",
        ) else {
            unreachable!()
        };
        assert_eq!(
            (bag.get("$.mid"), bag.get("prop1"), bag.get("prop2")),
            (Some(Some("m-1")), Some(None), Some(Some("")))
        );
        assert_eq!(cloud_to_device("dev1"), "devices/dev1/messages/devicebound/#");
    }

    /// Ref §8.2.
    #[test]
    fn dps_topics_are_read_and_written() {
        let register = ToDps::Register { rid: "679f47c8" };
        assert_eq!(register.to_string(), "$dps/registrations/PUT/iotdps-register/?$rid=679f47c8");
        assert_eq!(ToDps::parse(&register.to_string()), Ok(register));
        let poll =
            ToDps::Poll { rid: "2", operation_id: "5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550" };
        assert_eq!(
            poll.to_string(),
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550"
        );
        assert_eq!(ToDps::parse(&poll.to_string()), Ok(poll));
        let answer = FromDps { status: 202, rid: "2", retry_after: Some(3) };
        assert_eq!(answer.to_string(), "$dps/registrations/res/202/?$rid=2&retry-after=3");
        assert_eq!(FromDps::parse(&answer.to_string()), Ok(answer));
        assert_eq!(
            FromDps::parse("$dps/registrations/res/200/?retry-after=3&$rid=2"),
            Ok(FromDps { status: 200, ..answer })
        );
        assert_eq!(FromDps::parse("$dps/registrations/res/401/?$rid=1").unwrap().retry_after, None);
    }

    proptest! {
        #[test]
        fn written_telemetry_topic_is_read_back(id in "[A-Za-z0-9:.+%_#*?!(),=@;$'-]{1,40}", key in "\\PC{1,9}", value in "\\PC{0,9}") {
            let bag: PropertyBag = [(key, value)].into_iter().collect();
            let topic = telemetry(&id, &bag);
            prop_assert_eq!(ToHub::parse(&topic, &id, None).unwrap(), ToHub::Telemetry(bag));
        }
    }
}
