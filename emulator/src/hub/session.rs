//! MQTT session of a device: the state that outlives a connection (ref §1.3). Pure.

use super::subscription::{MAX_SUBSCRIPTIONS, Subscription};

/// A sixth subscription (ref §1.3).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a device may have {MAX_SUBSCRIPTIONS} subscriptions")]
pub struct TooManySubscriptions;

/// State that belongs to a session; one that is not clean survives disconnects (ref §1.3).
#[derive(Debug, Default)]
pub(super) struct SessionState {
    clean: bool,
    subscriptions: Vec<Subscription>,
}

impl SessionState {
    /// Returns a session without subscriptions.
    pub(super) const fn new(clean: bool) -> Self {
        Self { clean, subscriptions: Vec::new() }
    }

    /// Returns whether the session ends with its connection.
    pub(super) const fn is_clean(&self) -> bool {
        self.clean
    }

    pub(super) fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// Adds or renews a subscription.
    ///
    /// # Errors
    /// [`TooManySubscriptions`]: the hub closes the connection.
    pub(super) fn subscribe(&mut self, subscription: Subscription) -> Result<(), TooManySubscriptions> {
        let full = self.subscriptions.len() >= MAX_SUBSCRIPTIONS;
        match self.subscriptions.iter_mut().find(|known| known.filter == subscription.filter) {
            Some(known) => *known = subscription,
            None if full => return Err(TooManySubscriptions),
            None => self.subscriptions.push(subscription),
        }
        Ok(())
    }

    /// Removes a subscription, if it exists.
    pub(super) fn unsubscribe(&mut self, filter: &str) {
        self.subscriptions.retain(|known| known.filter != filter);
    }
}
