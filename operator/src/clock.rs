//! Clock of the program: the only place that reads the time.
//!
//! Both functions follow tokio's clock, so that tests with paused time control them. Reads the system's clock.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// Returns the current instant.
#[must_use]
pub fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Returns the current time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the program's clock")]
pub fn timestamp() -> Timestamp {
    // Zero, unless a test has paused and advanced tokio's clock.
    let ahead = instant().saturating_duration_since(Instant::now());
    let ahead = SignedDuration::try_from(ahead).unwrap_or_default();
    Timestamp::now().checked_add(ahead).unwrap_or(Timestamp::MAX)
}
