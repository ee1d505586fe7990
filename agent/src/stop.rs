//! Stop token of a device's connection: a request to finish, and the deadline for it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Sender of the request.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Instant>>);

/// Stop token: receiver of the request.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Instant>>);

/// Creates a sender and its token.
#[must_use]
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Requests the stop; work in progress may take until `limit` has passed.
    pub fn stop(&self, limit: Duration) {
        self.0.send_replace(Some(Instant::now() + limit));
    }
}

impl Stop {
    /// Waits for the request.
    pub async fn requested(&self) {
        self.deadline().await;
    }

    /// Waits for the deadline.
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
