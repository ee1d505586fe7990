//! One device of a hub, put together from its parts, each with a file of its own. In memory.
//!
//! Twins and cloud-to-device messages belong here when the emulator has them, each as a part with a file of its own: a
//! message waits for a device that is not connected and has no session yet (ref §5). Messages sent and not acknowledged
//! belong to the session.

use parking_lot::Mutex;

use jiff::Timestamp;

use super::connections::{Attachment, CloseOrder, Connections};
use super::counters::Counters;
use super::identity::Identity;
use super::session::{SessionState, TooManySubscriptions};
use super::subscription::Subscription;
use crate::registry::authentication::Authentication;
use crate::registry::device::RegisteredDevice;

/// One device.
#[derive(Debug)]
pub struct Device {
    /// Ids and authentication.
    pub identity: Identity,
    presence: Mutex<Presence>,
    /// Never dropped, unlike events.
    pub counters: Counters,
}

/// Connection and session, which change together.
#[derive(Debug, Default)]
struct Presence {
    connections: Connections,
    /// Present since the first connection that was not clean; survives disconnects (ref §1.3).
    session: Option<SessionState>,
}

/// State of a device's connection, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionView {
    /// True while the device is connected.
    pub connected: bool,
    /// Since when it is or is not.
    pub changed: Option<Timestamp>,
    /// Reason for the end of the last connection.
    pub last_end: Option<String>,
    /// Reason for the last refused CONNECT.
    pub last_refusal: Option<String>,
    /// Allows the device to connect.
    pub enabled: bool,
    /// Subscriptions of the device.
    pub subscriptions: Vec<Subscription>,
}

impl Device {
    /// Creates a device that never connected.
    #[must_use]
    pub fn new(registered: RegisteredDevice) -> Self {
        Self {
            identity: Identity::new(registered),
            presence: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// Sets the authentication; an open connection stays open.
    pub fn set_authentication(&self, authentication: Authentication) {
        self.identity.set_authentication(authentication);
    }

    /// Enables or disables the device; disabling closes its connection (ref §14.6 row 4).
    pub fn set_enabled(&self, enabled: bool) {
        self.identity.set_enabled(enabled);
        if !enabled {
            self.close(CloseOrder::Disabled);
        }
    }

    /// Counts a CONNECT that was refused, and keeps the reason.
    pub fn refuse(&self, reason: String) {
        self.counters.refused();
        self.presence.lock().connections.refuse(reason);
    }

    /// Makes a connection the device's only one, and closes the previous one (ref §1.9).
    pub fn attach(&self, clean_session: bool, now: Timestamp) -> Attachment {
        let mut presence = self.presence.lock();
        let kept = presence.session.take().filter(|session| !clean_session && !session.is_clean());
        let (attachment, takes_over) = presence.connections.attach(kept.is_some(), now);
        presence.session = Some(kept.unwrap_or(SessionState::new(clean_session)));
        self.counters.connected(takes_over);
        attachment
    }

    /// Records the end of a connection. A connection that was taken over changes nothing.
    pub fn detach(&self, attachment: &Attachment, reason: String, now: Timestamp) {
        let mut presence = self.presence.lock();
        let ended = presence.connections.detach(attachment, reason, now);
        if ended && presence.session.as_ref().is_some_and(SessionState::is_clean) {
            presence.session = None;
        }
    }

    /// Asks the open connection to close; `false` if there is none.
    pub fn close(&self, order: CloseOrder) -> bool {
        self.presence.lock().connections.close(order)
    }

    /// Adds or renews a subscription in the session.
    ///
    /// # Errors
    /// [`TooManySubscriptions`]: the hub closes the connection.
    pub fn subscribe(&self, subscription: Subscription) -> Result<(), TooManySubscriptions> {
        self.presence.lock().session.get_or_insert_default().subscribe(subscription)
    }

    /// Removes a subscription, if it exists.
    pub fn unsubscribe(&self, filter: &str) {
        if let Some(session) = &mut self.presence.lock().session {
            session.unsubscribe(filter);
        }
    }

    /// Returns the state of the connection, for display.
    #[must_use]
    pub fn view(&self) -> ConnectionView {
        let enabled = self.identity.enabled();
        let Presence { connections, session } = &*self.presence.lock();
        ConnectionView {
            connected: connections.is_open(),
            changed: connections.changed(),
            last_end: connections.last_end().map(str::to_owned),
            last_refusal: connections.last_refusal().map(str::to_owned),
            enabled,
            subscriptions: session
                .as_ref()
                .map(|session| session.subscriptions().to_vec())
                .unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::subscription::SubscriptionKind;
    use crate::registry::authentication::Keys;
    use lanyard_protocol::hub::key::SymmetricKey;

    const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn device() -> Device {
        let keys = Keys { primary: SymmetricKey::from_base64(K32).unwrap(), secondary: None };
        Device::new(RegisteredDevice {
            id: "dev1".to_owned(),
            authentication: Authentication::Sas(keys),
            enabled: true,
        })
    }

    fn subscription(filter: &str) -> Subscription {
        Subscription { filter: filter.to_owned(), kind: SubscriptionKind::CloudToDevice, qos: 1 }
    }

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    /// Ref §1.9.
    #[test]
    fn a_second_connection_closes_the_first() {
        let device = device();
        let mut first = device.attach(false, now());
        let second = device.attach(false, now());
        assert_eq!(first.close.try_recv(), Ok(CloseOrder::Takeover));
        device.detach(&first, "taken over".into(), now());
        assert!(device.view().connected, "the second connection is the device's one");
        assert_eq!((device.counters.connections(), device.counters.takeovers()), (2, 1));
        device.detach(&second, "gone".into(), now());
        assert!(!device.view().connected);
    }

    /// Ref §1.3.
    #[test]
    fn a_session_that_is_not_clean_keeps_its_subscriptions() {
        let device = device();
        let first = device.attach(false, now());
        assert!(!first.session_present);
        device.subscribe(subscription("a")).unwrap();
        device.detach(&first, "gone".into(), now());
        let second = device.attach(false, now());
        assert!(second.session_present);
        assert_eq!(device.view().subscriptions, [subscription("a")]);
        device.detach(&second, "gone".into(), now());

        let clean = device.attach(true, now());
        assert!(!clean.session_present && device.view().subscriptions.is_empty());
        device.subscribe(subscription("a")).unwrap();
        device.detach(&clean, "gone".into(), now());
        assert!(!device.attach(false, now()).session_present, "a clean session ends with its connection");
    }

    /// Ref §1.3: five.
    #[test]
    fn a_sixth_subscription_is_too_many() {
        let device = device();
        let _attachment = device.attach(false, now());
        for filter in ["a", "b", "c", "d", "e", "a"] {
            device.subscribe(subscription(filter)).unwrap();
        }
        assert_eq!(device.subscribe(subscription("f")), Err(TooManySubscriptions));
        device.unsubscribe("a");
        assert_eq!(device.subscribe(subscription("f")), Ok(()));
    }

    /// Ref §14.6 row 4.
    #[test]
    fn disabling_closes_the_connection() {
        let device = device();
        let mut attachment = device.attach(false, now());
        device.set_enabled(false);
        assert_eq!(attachment.close.try_recv(), Ok(CloseOrder::Disabled));
        assert!(!device.identity.enabled() && device.view().connected);
        assert!(!device.close(CloseOrder::Requested), "it is closing already");
    }
}
