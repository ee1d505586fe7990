//! Device of a hub: its authentication, its one connection, its session, counters and faults. In memory.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::counters::Counters;
use super::faults::Faults;
use super::session::{SessionState, TooManySubscriptions};
use super::subscription::Subscription;
use crate::random;
use crate::registry::authentication::Authentication;
use crate::registry::device::RegisteredDevice;

/// External reason for closing a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseOrder {
    /// The same id connected again (ref §1.9).
    Takeover,
    /// A request through the controls.
    Requested,
    /// The device was disabled (ref §14.6 row 4).
    Disabled,
    /// The device is not in the registry any more (ref §1.11).
    Removed,
}

/// One device.
#[derive(Debug)]
pub struct Device {
    /// Case-sensitive.
    pub id: Arc<str>,
    /// Distinguishes the device from an earlier one of the same id.
    pub generation_id: String,
    state: Mutex<State>,
    /// Never dropped, unlike events.
    pub counters: Counters,
    /// Faults on purpose.
    pub faults: Faults,
}

#[derive(Debug)]
struct State {
    authentication: Authentication,
    enabled: bool,
    attachments: u64,
    live: Option<Live>,
    /// Present since the first connection that was not clean; survives disconnects (ref §1.3).
    session: Option<SessionState>,
    changed: Option<Timestamp>,
    last_end: Option<String>,
    last_refusal: Option<String>,
}

#[derive(Debug)]
struct Live {
    number: u64,
    close: oneshot::Sender<CloseOrder>,
}

/// Handle of an accepted connection.
#[derive(Debug)]
pub struct Attachment {
    number: u64,
    /// For the CONNACK.
    pub session_present: bool,
    /// Receives the reason if the connection must be closed.
    pub close: oneshot::Receiver<CloseOrder>,
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
    /// A device that never connected.
    #[must_use]
    pub fn new(registered: RegisteredDevice) -> Self {
        let RegisteredDevice { id, authentication, enabled } = registered;
        Self {
            id: Arc::from(id),
            generation_id: (600_000_000_000_000_000_u64 + random::random::<u64>() % 100_000_000_000_000_000)
                .to_string(),
            state: Mutex::new(State {
                authentication,
                enabled,
                attachments: 0,
                live: None,
                session: None,
                changed: None,
                last_end: None,
                last_refusal: None,
            }),
            counters: Counters::default(),
            faults: Faults::default(),
        }
    }

    /// Returns the current authentication of the device.
    #[must_use]
    pub fn authentication(&self) -> Authentication {
        self.state().authentication.clone()
    }

    /// Sets the authentication; an open connection stays open.
    pub fn set_authentication(&self, authentication: Authentication) {
        self.state().authentication = authentication;
    }

    /// Counts a CONNECT that was refused, and remembers why.
    pub fn refuse(&self, reason: String) {
        self.counters.refusals.fetch_add(1, Ordering::Relaxed);
        self.state().last_refusal = Some(reason);
    }

    /// Returns whether the device may connect.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.state().enabled
    }

    /// Makes a connection the device's only one, and closes the previous one (ref §1.9).
    pub fn attach(&self, clean_session: bool, now: Timestamp) -> Attachment {
        let (sender, close) = oneshot::channel();
        let mut state = self.state();
        state.attachments += 1;
        let number = state.attachments;
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        if let Some(earlier) = state.live.replace(Live { number, close: sender }) {
            self.counters.takeovers.fetch_add(1, Ordering::Relaxed);
            // The session may be ending already; then the receiver is gone.
            let _ = earlier.close.send(CloseOrder::Takeover);
        }
        let kept = state.session.take().filter(|session| !clean_session && !session.is_clean());
        let session_present = kept.is_some();
        state.session = Some(kept.unwrap_or(SessionState::new(clean_session)));
        state.changed = Some(now);
        Attachment { number, session_present, close }
    }

    /// Records the end of a connection. A connection that was taken over changes nothing.
    pub fn detach(&self, attachment: &Attachment, reason: String, now: Timestamp) {
        let mut state = self.state();
        if state.live.as_ref().is_some_and(|live| live.number == attachment.number) {
            state.live = None;
            state.changed = Some(now);
            if state.session.as_ref().is_some_and(SessionState::is_clean) {
                state.session = None;
            }
        }
        state.last_end = Some(reason);
    }

    /// Asks the open connection to close; `false` when there is none.
    pub fn close(&self, order: CloseOrder) -> bool {
        let mut state = self.state();
        let Some(live) = state.live.as_mut() else { return false };
        let (unused, _) = oneshot::channel();
        // The slot stays taken until the connection itself gives it back.
        std::mem::replace(&mut live.close, unused).send(order).is_ok()
    }

    /// Enables or disables it; disabling closes its connection (ref §14.6 row 4).
    pub fn set_enabled(&self, enabled: bool) {
        self.state().enabled = enabled;
        if !enabled {
            self.close(CloseOrder::Disabled);
        }
    }

    /// Adds or renews a subscription in the session.
    ///
    /// # Errors
    /// [`TooManySubscriptions`]: the hub closes the connection.
    pub fn subscribe(&self, wanted: Subscription) -> Result<(), TooManySubscriptions> {
        self.state().session.get_or_insert_default().subscribe(wanted)
    }

    /// Removes a subscription, if it is there.
    pub fn unsubscribe(&self, filter: &str) {
        if let Some(session) = &mut self.state().session {
            session.unsubscribe(filter);
        }
    }

    /// Returns the state of the connection, for display.
    #[must_use]
    pub fn view(&self) -> ConnectionView {
        let state = self.state();
        ConnectionView {
            connected: state.live.is_some(),
            changed: state.changed,
            last_end: state.last_end.clone(),
            last_refusal: state.last_refusal.clone(),
            enabled: state.enabled,
            subscriptions: state
                .session
                .as_ref()
                .map(|session| session.subscriptions().to_vec())
                .unwrap_or_default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
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
        assert!(!device.enabled() && device.view().connected);
        assert!(!device.close(CloseOrder::Requested), "it is closing already");
    }
}
