//! One device of a hub: how it proves itself, its one connection, its session and its counters. In memory.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::authentication::Authentication;
use super::pubacks::Pubacks;
use super::subscription::{MAX_SUBSCRIPTIONS, Subscription};

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
    /// Told apart from an earlier device of the same id by this.
    pub generation_id: String,
    state: Mutex<State>,
    /// Never dropped, unlike events.
    pub counters: Counters,
    /// Acknowledgements of the device's messages.
    pub pubacks: Pubacks,
}

/// Counters of a device since the start of the emulator.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    takeovers: AtomicU64,
    refusals: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    last_message: AtomicI64,
}

impl Counters {
    /// Accepted CONNECTs.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Connections that ended because the same id connected again.
    pub fn takeovers(&self) -> u64 {
        self.takeovers.load(Ordering::Relaxed)
    }

    /// CONNECTs refused although the device is known.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Telemetry messages stored.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Their bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the time of the last message.
    pub fn last_message(&self) -> Option<Timestamp> {
        match self.last_message.load(Ordering::Relaxed) {
            0 => None,
            micros => Timestamp::from_microsecond(micros).ok(),
        }
    }

    /// Counts a stored message.
    pub fn received(&self, bytes: usize, at: Timestamp) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_message.store(at.as_microsecond(), Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct State {
    authentication: Authentication,
    enabled: bool,
    attachments: u64,
    live: Option<Live>,
    /// Present since the first connection that was not clean; survives disconnects (ref §1.3).
    session: Option<Session>,
    changed: Option<Timestamp>,
    last_end: Option<String>,
    last_refusal: Option<String>,
}

#[derive(Debug)]
struct Live {
    number: u64,
    close: oneshot::Sender<CloseOrder>,
}

#[derive(Debug, Default)]
struct Session {
    clean: bool,
    subscriptions: Vec<Subscription>,
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

/// A sixth subscription (ref §1.3).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a device may have {MAX_SUBSCRIPTIONS} subscriptions")]
pub struct TooManySubscriptions;

impl Device {
    /// A device that never connected.
    #[must_use]
    pub fn new(id: &str, authentication: Authentication, enabled: bool) -> Self {
        Self {
            id: Arc::from(id),
            generation_id: rand::random_range(600_000_000_000_000_000_u64..700_000_000_000_000_000)
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
            pubacks: Pubacks::default(),
        }
    }

    /// Returns the current authentication of the device.
    #[must_use]
    pub fn authentication(&self) -> Authentication {
        self.state().authentication.clone()
    }

    /// Lets it prove itself in another way; an open connection stays open.
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

    /// Makes a connection the device's one and closes the one before (ref §1.9).
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
        let kept = state.session.take().filter(|session| !clean_session && !session.clean);
        let session_present = kept.is_some();
        state.session = Some(kept.unwrap_or(Session { clean: clean_session, subscriptions: Vec::new() }));
        state.changed = Some(now);
        Attachment { number, session_present, close }
    }

    /// The connection is over. One that was taken over changes nothing any more.
    pub fn detach(&self, attachment: &Attachment, reason: String, now: Timestamp) {
        let mut state = self.state();
        if state.live.as_ref().is_some_and(|live| live.number == attachment.number) {
            state.live = None;
            state.changed = Some(now);
            if state.session.as_ref().is_some_and(|session| session.clean) {
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
        let mut state = self.state();
        let subscriptions = &mut state.session.get_or_insert_default().subscriptions;
        let full = subscriptions.len() >= MAX_SUBSCRIPTIONS;
        match subscriptions.iter_mut().find(|known| known.filter == wanted.filter) {
            Some(known) => *known = wanted,
            None if full => return Err(TooManySubscriptions),
            None => subscriptions.push(wanted),
        }
        Ok(())
    }

    /// Removes a subscription, if it is there.
    pub fn unsubscribe(&self, filter: &str) {
        if let Some(session) = &mut self.state().session {
            session.subscriptions.retain(|known| known.filter != filter);
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
                .map(|session| session.subscriptions.clone())
                .unwrap_or_default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::authentication::Keys;
    use crate::hub::subscription::Kind;
    use lanyard_protocol::hub::key::SymmetricKey;

    const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn device() -> Device {
        let keys = Keys { primary: SymmetricKey::from_base64(K32).unwrap(), secondary: None };
        Device::new("dev1", Authentication::Sas(keys), true)
    }

    fn subscription(filter: &str) -> Subscription {
        Subscription { filter: filter.to_owned(), kind: Kind::CloudToDevice, qos: 1 }
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
