//! Ending a device's connection: first asked to finish, then out of time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Asks for the end.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Instant>>);

/// Hears of it.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Instant>>);

/// A pair.
#[must_use]
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks for the end; work in progress may take until `limit` has passed.
    pub fn stop(&self, limit: Duration) {
        self.0.send_replace(Some(Instant::now() + limit));
    }
}

impl Stop {
    /// Returns whether a stop was requested.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until the end is asked for.
    pub async fn asked(&self) {
        self.deadline().await;
    }

    /// Waits until the time for it has passed.
    pub async fn expired(&self) {
        let deadline = self.deadline().await;
        tokio::time::sleep_until(deadline).await;
    }

    async fn deadline(&self) -> Instant {
        let mut receiver = self.0.clone();
        match receiver.wait_for(Option::is_some).await {
            Ok(deadline) => deadline.unwrap_or_else(Instant::now),
            // The sender is dropped with the device: stop at once.
            Err(_) => Instant::now(),
        }
    }
}
