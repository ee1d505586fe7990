//! Times that come from outside: capped when they are read, and added without overflow. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// The longest wait that a server may ask for. Azure asks for seconds or minutes; a longer wait would park a device
/// until someone restarts its agent.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// A wait that a server asked for, at most [`LONGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedWait(Duration);

impl AskedWait {
    /// Takes the seconds that a server named.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        let longest = LONGEST.as_secs();
        Self(Duration::from_secs(if seconds < longest { seconds } else { longest }))
    }

    /// Returns the wait, capped.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// Adds a duration to an instant; a sum that the clock cannot hold becomes an instant that is never reached.
#[must_use]
pub fn after(start: Instant, wait: Duration) -> Instant {
    // A year is far beyond every wait of this program and within every clock.
    const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
    start.checked_add(wait).or_else(|| start.checked_add(NEVER)).unwrap_or(start)
}

/// Waits until an instant; forever without one.
pub(crate) async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Wait after failures in a row: doubles with each, and a random part spreads the devices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExponentialWait {
    /// The wait after one failure.
    pub first: Duration,
    /// The longest wait, without its random part.
    pub longest: Duration,
    /// The largest random part, as a share of the wait.
    pub spread: f64,
}

impl ExponentialWait {
    /// Returns the wait after so many failures in a row. `chance` from 0 to 1 is the random number.
    #[must_use]
    pub fn after(self, failures: u32, chance: f64) -> Duration {
        let doublings = 2_u32.saturating_pow(failures.saturating_sub(1));
        let wait = self.first.saturating_mul(doublings).min(self.longest);
        wait.mul_f64(1.0 + self.spread * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn m2_asked_wait_is_capped_at_an_hour() {
        assert_eq!(AskedWait::from_secs(3).get(), Duration::from_secs(3));
        for seconds in [3600, 3601, 9_999_999_999, u64::MAX] {
            assert_eq!(AskedWait::from_secs(seconds).get(), LONGEST, "{seconds}");
        }
    }

    #[test]
    fn m2_instant_overflow_becomes_a_far_instant() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::from_secs(1)), now + Duration::from_secs(1));
        assert!(after(now, Duration::MAX) > now + 300 * 24 * LONGEST, "it is never reached");
    }

    #[test]
    fn wait_doubles_up_to_the_longest_and_spreads() {
        let (first, longest) = (Duration::from_secs(3), Duration::from_secs(20));
        let wait = ExponentialWait { first, longest, spread: 0.5 };
        let waits =
            |chance| [0, 1, 2, 3, 4, u32::MAX].map(|failures| wait.after(failures, chance).as_secs_f64());
        assert_eq!(waits(0.0), [3.0, 3.0, 6.0, 12.0, 20.0, 20.0]);
        assert_eq!(waits(1.0), [4.5, 4.5, 9.0, 18.0, 30.0, 30.0]);
        assert_eq!([-1.0, 0.5, 7.0].map(|chance| wait.after(1, chance).as_secs_f64()), [3.0, 3.75, 4.5]);
    }

    proptest! {
        #[test]
        fn m2_any_asked_wait_makes_an_instant(seconds: u64) {
            let now = Instant::now();
            prop_assert!(after(now, AskedWait::from_secs(seconds).get()) <= now + LONGEST);
        }
    }
}
