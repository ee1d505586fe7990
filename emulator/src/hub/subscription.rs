//! Topics to which a device may subscribe: only the documented filters (ref §1.3, §5.1, §6.1, §7). Pure.

use lanyard_protocol::hub::topic::{METHOD_REQUESTS, TWIN_DESIRED, TWIN_RESPONSES};

/// Ref §1.3.
pub const MAX_SUBSCRIPTIONS: usize = 5;

/// The highest QoS a hub grants (ref §1.6).
pub const MAX_QOS: u8 = 1;

/// Purpose of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionKind {
    /// Cloud-to-device messages.
    CloudToDevice,
    /// Answers to twin requests.
    TwinResponses,
    /// Changes of desired properties.
    TwinDesired,
    /// Direct methods.
    Methods,
}

/// A filter in a device's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// As the device wrote it.
    pub filter: String,
    /// Purpose of the filter.
    pub kind: SubscriptionKind,
    /// Granted: 0 or 1.
    pub qos: u8,
}

/// Any other filter: the hub closes the connection (ref §1.11).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no device may subscribe to {0:?}")]
pub struct UnsupportedFilter(pub String);

/// Reads a filter of `device_id` and grants at most QoS 1 (ref §1.6).
///
/// # Errors
/// [`UnsupportedFilter`] for free-form filters and those of other devices.
pub fn read(filter: &str, qos: u8, device_id: &str) -> Result<Subscription, UnsupportedFilter> {
    let kind = match filter {
        TWIN_RESPONSES => SubscriptionKind::TwinResponses,
        TWIN_DESIRED => SubscriptionKind::TwinDesired,
        METHOD_REQUESTS => SubscriptionKind::Methods,
        _ if is_cloud_to_device(filter, device_id) => SubscriptionKind::CloudToDevice,
        _ => return Err(UnsupportedFilter(filter.to_owned())),
    };
    Ok(Subscription { filter: filter.to_owned(), kind, qos: qos.min(MAX_QOS) })
}

/// Returns whether a filter selects the device's cloud-to-device messages. Embedded C writes `+` in the place of its
/// own id (ref §1.3).
fn is_cloud_to_device(filter: &str, device_id: &str) -> bool {
    let id = filter.strip_prefix("devices/").and_then(|rest| rest.strip_suffix("/messages/devicebound/#"));
    id.is_some_and(|id| id == device_id || id == "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_filters_are_accepted() {
        for (filter, kind) in [
            ("devices/dev1/messages/devicebound/#", SubscriptionKind::CloudToDevice),
            ("devices/+/messages/devicebound/#", SubscriptionKind::CloudToDevice),
            ("$iothub/twin/res/#", SubscriptionKind::TwinResponses),
            ("$iothub/twin/PATCH/properties/desired/#", SubscriptionKind::TwinDesired),
            ("$iothub/methods/POST/#", SubscriptionKind::Methods),
        ] {
            assert_eq!(read(filter, 1, "dev1"), Ok(Subscription { filter: filter.into(), kind, qos: 1 }));
        }
    }

    /// Ref §1.6, §14.6 row 6.
    #[test]
    fn qos_2_is_granted_as_1() {
        assert_eq!(read("$iothub/twin/res/#", 2, "dev1").map(|s| s.qos), Ok(1));
        assert_eq!(read("$iothub/twin/res/#", 0, "dev1").map(|s| s.qos), Ok(0));
    }

    /// Ref §1.3, §1.11.
    #[test]
    fn every_other_filter_is_refused() {
        for filter in [
            "#",
            "devices/dev2/messages/devicebound/#",
            "devices/dev1/messages/devicebound/a/#",
            "devices/dev1/messages/devicebound/",
            "devices/dev1/messages/events/#",
            "$iothub/twin/#",
            "$iothub/Methods/POST/#",
            "$dps/registrations/res/#",
            "",
        ] {
            assert_eq!(read(filter, 1, "dev1"), Err(UnsupportedFilter(filter.into())), "{filter}");
        }
    }
}
