//! Connections that have not shown who they are: a bounded number, the oldest of which is closed for a new one, so that
//! half-open connections keep no device out. Pure, but for a lock.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

/// Maximum number of unauthenticated clients. A device is one only during its handshake and CONNECT.
pub const LIMIT: usize = 512;

/// All of them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct UnauthenticatedClients(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// Oldest first.
    waiting: VecDeque<(u64, CancellationToken)>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct UnauthenticatedClient {
    all: UnauthenticatedClients,
    number: u64,
    displaced: CancellationToken,
}

impl UnauthenticatedClients {
    /// Takes one in, and displaces the oldest when there are too many.
    #[must_use]
    pub fn enter(&self) -> UnauthenticatedClient {
        let displaced = CancellationToken::new();
        let mut queue = self.0.lock();
        let number = queue.next;
        queue.next = number.wrapping_add(1);
        if queue.waiting.len() >= LIMIT
            && let Some((_, oldest)) = queue.waiting.pop_front()
        {
            oldest.cancel();
        }
        queue.waiting.push_back((number, displaced.clone()));
        UnauthenticatedClient { all: self.clone(), number, displaced }
    }
}

impl UnauthenticatedClient {
    /// Waits until a newer one takes its place.
    pub async fn displaced(&self) {
        self.displaced.cancelled().await;
    }
}

impl Drop for UnauthenticatedClient {
    fn drop(&mut self) {
        let mut queue = self.all.0.lock();
        queue.waiting.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_client_is_displaced_and_admitted_ones_do_not_count() {
        let unauthenticated = UnauthenticatedClients::default();
        let held: Vec<UnauthenticatedClient> = (0..LIMIT).map(|_| unauthenticated.enter()).collect();
        for _ in 0..LIMIT {
            // One that logged in.
            drop(unauthenticated.enter());
        }
        let displaced = |client: &UnauthenticatedClient| client.displaced.is_cancelled();
        // Each of them displaced one.
        assert_eq!(held.iter().filter(|client| displaced(client)).count(), 1);
        assert!(displaced(&held[0]));
        let _newest = unauthenticated.enter();
        let _one_more = unauthenticated.enter();
        assert!(displaced(&held[1]) && !displaced(&held[2]));
    }
}
