//! Back-off after failures, and the time to ask DPS again: capped, with jitter. Pure; randomness is a parameter.

use std::time::Duration;

use lanyard_handoff::status::ConnectionReason;

use crate::wait::{AskedWait, ExponentialWait};

/// The wait after failures; with its random part at most 100 s (ref §12.4).
const FAILED: ExponentialWait =
    ExponentialWait { first: Duration::from_secs(1), longest: Duration::from_secs(50), spread: 1.0 };
/// The wait after refusals. People correct a refused credential; their new credential ends the wait.
const REFUSED: ExponentialWait = ExponentialWait { first: Duration::from_secs(15), ..FAILED };
/// After so many failures in a row the device may have been given to another hub: DPS is asked again (ref §12.4).
const HUB_FAILURES: u32 = 10;
/// A connection that lasted so long was good: what fails next starts from the shortest wait. One that ends sooner may do so
/// because of what is sent, and would end at once again.
const STABLE: Duration = Duration::from_secs(20);

/// Next attempt.
#[derive(Debug, PartialEq)]
pub struct Retry {
    /// Time to wait; `None` means until the credentials change.
    pub wait: Option<Duration>,
    /// True if DPS must be asked for the hub again.
    pub ask_dps: bool,
}

/// Consecutive failures and refusals.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    refusals: u32,
}

impl Backoff {
    /// Forgets all failures: all is well again, or the credentials are new.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Notes that the hub had accepted the device for so long: then its credential is good.
    pub fn accepted(&mut self, lasted: Duration) {
        if lasted >= STABLE {
            self.reset();
        }
        self.refusals = 0;
    }

    /// Notes a failure. `chance` from 0 to 1 spreads the devices; `at_least` is what the server asked for.
    pub fn after(&mut self, reason: ConnectionReason, at_least: Option<AskedWait>, chance: f64) -> Retry {
        use ConnectionReason as R;
        let (wait, ask_dps) = match reason {
            R::CredentialsUnreadable => return Retry { wait: None, ask_dps: false },
            R::Unauthorized => match self.refuse() {
                // The first wait is short: the token may have expired on its way, or DPS may have moved the device to
                // another hub. Without any wait, a refused device dials several times within milliseconds.
                1 => (FAILED.after(1, chance), true),
                more => (REFUSED.after(more.saturating_sub(1), chance), true),
            },
            // No server is asked; the clock is read again, because it may have been wrong.
            R::CredentialExpired => (REFUSED.after(self.refuse(), chance), false),
            R::RegistrationUnauthorized
            | R::EnrollmentDisabled
            | R::RegistrationFailed
            | R::ProtocolRefused => (REFUSED.after(self.refuse(), chance), true),
            _ => {
                self.failures = self.failures.saturating_add(1);
                (FAILED.after(self.failures, chance), self.failures.is_multiple_of(HUB_FAILURES))
            }
        };
        Retry { wait: Some(wait).max(at_least.map(AskedWait::get)), ask_dps }
    }

    /// Counts a refusal; returns their number.
    const fn refuse(&mut self) -> u32 {
        self.refusals = self.refusals.saturating_add(1);
        self.refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waits(reason: ConnectionReason, chance: f64, count: usize) -> Vec<u64> {
        let mut backoff = Backoff::default();
        (0..count).map(|_| backoff.after(reason, None, chance).wait.unwrap().as_secs()).collect()
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        assert_eq!(waits(ConnectionReason::ConnectionLost, 0.0, 9), [1, 2, 4, 8, 16, 32, 50, 50, 50]);
        assert_eq!(waits(ConnectionReason::HostNotFound, 1.0, 9), [2, 4, 8, 16, 32, 64, 100, 100, 100]);
    }

    #[test]
    fn refused_credential_is_retried_slowly() {
        assert_eq!(waits(ConnectionReason::Unauthorized, 0.0, 6), [1, 15, 30, 50, 50, 50]);
        assert_eq!(waits(ConnectionReason::RegistrationUnauthorized, 0.0, 4), [15, 30, 50, 50]);
        let mut backoff = Backoff::default();
        let asks: Vec<bool> =
            (0..3).map(|_| backoff.after(ConnectionReason::Unauthorized, None, 0.0).ask_dps).collect();
        assert_eq!(asks, [true; 3]);
    }

    #[test]
    fn expired_credential_waits_without_asking_dps() {
        assert_eq!(waits(ConnectionReason::CredentialExpired, 0.0, 4), [15, 30, 50, 50]);
        let mut backoff = Backoff::default();
        assert!(!backoff.after(ConnectionReason::CredentialExpired, None, 0.0).ask_dps);
    }

    #[test]
    fn accepted_connection_clears_refusals_but_not_failures() {
        let mut backoff = Backoff::default();
        let mut wait = |reason| backoff.after(reason, None, 0.0).wait.unwrap().as_secs();
        assert_eq!([wait(ConnectionReason::Unauthorized), wait(ConnectionReason::ConnectionLost)], [1, 1]);
        backoff.accepted(Duration::from_secs(1));
        let mut wait = |reason| backoff.after(reason, None, 0.0).wait.unwrap().as_secs();
        assert_eq!([wait(ConnectionReason::Unauthorized), wait(ConnectionReason::ConnectionLost)], [1, 2]);
    }

    #[test]
    fn only_a_lasting_connection_resets_the_backoff() {
        let mut backoff = Backoff::default();
        let mut lost = |lasted: u64| {
            backoff.accepted(Duration::from_secs(lasted));
            backoff.after(ConnectionReason::ConnectionLost, None, 0.0).wait.unwrap().as_secs()
        };
        assert_eq!([lost(1), lost(19), lost(3), lost(20), lost(1)], [1, 2, 4, 1, 2]);
    }

    #[test]
    fn dps_is_asked_after_every_ten_failures() {
        let mut backoff = Backoff::default();
        let asks: Vec<bool> =
            (0..20).map(|_| backoff.after(ConnectionReason::Timeout, None, 0.0).ask_dps).collect();
        assert_eq!(asks.iter().filter(|&&ask| ask).count(), 2);
        assert!(asks[9] && asks[19]);
    }

    #[test]
    fn unreadable_credentials_wait_for_new_ones() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.after(ConnectionReason::CredentialsUnreadable, None, 0.5).wait, None);
        let asked = AskedWait::from_secs(40);
        assert_eq!(
            backoff.after(ConnectionReason::RegistrationFailed, Some(asked), 0.0).wait,
            Some(asked.get())
        );
    }

    proptest! {
        #[test]
        fn wait_stays_between_one_and_a_hundred_seconds(failures in 1_u32..1000, chance in 0.0..1.0_f64) {
            let mut backoff = Backoff { failures: failures - 1, refusals: 0 };
            let wait = backoff.after(ConnectionReason::Timeout, None, chance).wait.unwrap();
            prop_assert!(wait >= FAILED.first && wait <= 2 * FAILED.longest, "{wait:?}");
        }
    }
}
