//! Back-off after failures, and the time to ask DPS again: capped, with jitter. Pure; randomness is a parameter.

use std::time::Duration;

use lanyard_handoff::status::ConnectionReason;

use crate::wait::{AskedWait, doubled};

/// The first wait after a failure, doubled by each further one up to [`LONGEST`] (ref §12.4).
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait (ref §12.4).
const LONGEST: Duration = Duration::from_secs(100);
/// The first wait after a refusal. A refused credential is mended by people, whose new credential ends the wait.
const SHORTEST_REFUSED: Duration = Duration::from_secs(15);
/// After so many failures in a row the device may have been given to another hub: DPS is asked again (ref §12.4).
const HUB_FAILURES: u32 = 10;
/// A connection that lasted so long was good: what fails next starts from [`SHORTEST`]. One that ends sooner may do so
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
    /// All is well again, or the credentials are new.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The hub had accepted the device for so long, if it had: then its credential is good.
    pub fn accepted(&mut self, lasted: Option<Duration>) {
        match lasted {
            Some(lasted) if lasted >= STABLE => self.reset(),
            Some(_) => self.refusals = 0,
            None => {}
        }
    }

    /// A failure happened. `chance` from 0 to 1 spreads the devices; `at_least` is what the server asked for.
    pub fn after(&mut self, reason: ConnectionReason, at_least: Option<AskedWait>, chance: f64) -> Retry {
        use ConnectionReason as R;
        let mut step = match reason {
            R::CredentialsUnreadable => return Retry { wait: None, ask_dps: false },
            R::Unauthorized => {
                self.refusals = self.refusals.saturating_add(1);
                // The first wait is short: the token may have expired on its way, or DPS may have moved the device to
                // another hub. Without any wait, a refused device dials several times within milliseconds.
                let wait = match self.refusals {
                    1 => backoff(SHORTEST, 0, chance),
                    more => backoff(SHORTEST_REFUSED, more.saturating_sub(2), chance),
                };
                Retry { wait: Some(wait), ask_dps: true }
            }
            // No server is asked; the clock is read again, because it may have been wrong.
            R::CredentialExpired => {
                self.refusals = self.refusals.saturating_add(1);
                Retry {
                    wait: Some(backoff(SHORTEST_REFUSED, self.refusals.saturating_sub(1), chance)),
                    ask_dps: false,
                }
            }
            R::RegistrationUnauthorized
            | R::EnrollmentDisabled
            | R::RegistrationFailed
            | R::ProtocolRefused => {
                self.refusals = self.refusals.saturating_add(1);
                Retry {
                    wait: Some(backoff(SHORTEST_REFUSED, self.refusals.saturating_sub(1), chance)),
                    ask_dps: true,
                }
            }
            _ => {
                self.failures = self.failures.saturating_add(1);
                let wait = backoff(SHORTEST, self.failures.saturating_sub(1), chance);
                Retry { wait: Some(wait), ask_dps: self.failures.is_multiple_of(HUB_FAILURES) }
            }
        };
        step.wait = step.wait.max(at_least.map(AskedWait::get));
        step
    }
}

/// Between once and twice the doubled start, capped: never all at once, never less than the start.
fn backoff(start: Duration, doublings: u32, chance: f64) -> Duration {
    let most = doubled(start, doublings.saturating_add(1), LONGEST);
    most.div_f64(2.0).mul_f64(1.0 + chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waits(reason: ConnectionReason, chance: f64, count: usize) -> Vec<u64> {
        let mut pace = Backoff::default();
        (0..count).map(|_| pace.after(reason, None, chance).wait.unwrap().as_secs()).collect()
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
        let mut pace = Backoff::default();
        let asks: Vec<bool> =
            (0..3).map(|_| pace.after(ConnectionReason::Unauthorized, None, 0.0).ask_dps).collect();
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
        backoff.accepted(Some(Duration::from_secs(1)));
        let mut wait = |reason| backoff.after(reason, None, 0.0).wait.unwrap().as_secs();
        assert_eq!([wait(ConnectionReason::Unauthorized), wait(ConnectionReason::ConnectionLost)], [1, 2]);
    }

    #[test]
    fn only_a_lasting_connection_resets_the_backoff() {
        let mut pace = Backoff::default();
        let mut lost = |lasted: u64| {
            pace.accepted(Some(Duration::from_secs(lasted)));
            pace.after(ConnectionReason::ConnectionLost, None, 0.0).wait.unwrap().as_secs()
        };
        assert_eq!([lost(1), lost(19), lost(3), lost(20), lost(1)], [1, 2, 4, 1, 2]);
    }

    #[test]
    fn dps_is_asked_after_every_ten_failures() {
        let mut pace = Backoff::default();
        let asks: Vec<bool> =
            (0..20).map(|_| pace.after(ConnectionReason::Timeout, None, 0.0).ask_dps).collect();
        assert_eq!(asks.iter().filter(|&&ask| ask).count(), 2);
        assert!(asks[9] && asks[19]);
    }

    #[test]
    fn unreadable_credentials_wait_for_new_ones() {
        let mut pace = Backoff::default();
        assert_eq!(pace.after(ConnectionReason::CredentialsUnreadable, None, 0.5).wait, None);
        let asked = AskedWait::from_secs(40);
        assert_eq!(
            pace.after(ConnectionReason::RegistrationFailed, Some(asked), 0.0).wait,
            Some(asked.get())
        );
    }

    proptest! {
        #[test]
        fn no_wait_leaves_its_bounds(failures in 0_u32..1000, chance in 0.0..1.0_f64) {
            let wait = backoff(SHORTEST, failures, chance);
            prop_assert!(wait >= SHORTEST && wait <= LONGEST, "{wait:?}");
        }
    }
}
