//! Connections of a device: the open one, of which there is at most one (ref §1.9), and the end of the last. In memory.

use jiff::Timestamp;
use tokio::sync::oneshot;

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

/// Handle of an accepted connection.
#[derive(Debug)]
pub struct Attachment {
    number: u64,
    /// For the CONNACK.
    pub session_present: bool,
    /// Receives the reason if the connection must be closed.
    pub close: oneshot::Receiver<CloseOrder>,
}

/// Connections of one device.
#[derive(Debug, Default)]
pub(super) struct Connections {
    accepted: u64,
    open: Option<Open>,
    changed: Option<Timestamp>,
    last_end: Option<String>,
    last_refusal: Option<String>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    close: oneshot::Sender<CloseOrder>,
}

impl Connections {
    /// Makes a connection the only one; returns whether it closed an earlier one.
    pub(super) fn attach(&mut self, session_present: bool, now: Timestamp) -> (Attachment, bool) {
        let (sender, close) = oneshot::channel();
        self.accepted += 1;
        self.changed = Some(now);
        let number = self.accepted;
        let earlier = self.open.replace(Open { number, close: sender });
        let takes_over = earlier.is_some();
        if let Some(earlier) = earlier {
            // The session may be ending already; then the receiver is gone.
            let _ = earlier.close.send(CloseOrder::Takeover);
        }
        (Attachment { number, session_present, close }, takes_over)
    }

    /// Records the end of a connection; returns whether it was the open one, and none is open now.
    pub(super) fn detach(&mut self, attachment: &Attachment, reason: String, now: Timestamp) -> bool {
        self.last_end = Some(reason);
        let was_open = self.open.as_ref().is_some_and(|open| open.number == attachment.number);
        if was_open {
            self.open = None;
            self.changed = Some(now);
        }
        was_open
    }

    /// Asks the open connection to close; `false` if there is none.
    pub(super) fn close(&mut self, order: CloseOrder) -> bool {
        let Some(open) = self.open.as_mut() else { return false };
        let (unused, _) = oneshot::channel();
        // The slot stays taken until the connection itself gives it back.
        std::mem::replace(&mut open.close, unused).send(order).is_ok()
    }

    /// Keeps the reason of a refused CONNECT.
    pub(super) fn refuse(&mut self, reason: String) {
        self.last_refusal = Some(reason);
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Returns the time of the last change between connected and not connected.
    pub(super) const fn changed(&self) -> Option<Timestamp> {
        self.changed
    }

    /// Returns the reason for the end of the last connection.
    pub(super) fn last_end(&self) -> Option<&str> {
        self.last_end.as_deref()
    }

    /// Returns the reason for the last refused CONNECT.
    pub(super) fn last_refusal(&self) -> Option<&str> {
        self.last_refusal.as_deref()
    }
}
