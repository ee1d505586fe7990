//! Maximum duration of a connection: its keep-alive (ref §1.5) and its token (ref §1.12). Pure, except for waiting.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::connection::close_reason::CloseReason;
use crate::hub::token::TokenRules;

/// The server's cap, 29.45 minutes; it also holds for a keep-alive of 0 (ref §1.5).
pub const LONGEST_SILENCE: Duration = Duration::from_secs(1767);

/// The longest wait before the clock is looked at again: the system's clock may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Deadlines of a connection.
#[derive(Debug)]
pub struct Deadlines {
    silence: Duration,
    last_packet: Instant,
    /// Seconds since 1970.
    token_end: Option<i64>,
}

impl Deadlines {
    /// Returns the deadlines of a connection whose CONNECT, with this keep-alive, came now.
    #[must_use]
    pub fn new(keep_alive: u16, token_end: Option<i64>) -> Self {
        Self { silence: longest_silence(keep_alive), last_packet: Instant::now(), token_end }
    }

    /// Starts the keep-alive again: a packet came.
    pub fn packet_received(&mut self) {
        self.last_packet = Instant::now();
    }

    /// Waits for the end.
    pub async fn over(&self, clock: &dyn Clock) -> CloseReason {
        loop {
            let silent = self.last_packet.elapsed();
            if silent >= self.silence {
                return CloseReason::KeepAlive(self.silence.as_secs());
            }
            let mut wait = (self.silence - silent).min(LONGEST_WAIT);
            if let Some(end) = self.token_end {
                let left = end.saturating_sub(clock.seconds());
                if left <= 0 {
                    return CloseReason::TokenExpired;
                }
                wait = wait.min(Duration::from_secs(left.unsigned_abs()));
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// Returns the longest time without a packet: one and a half times the keep-alive (in seconds), capped (ref §1.5).
#[must_use]
pub fn longest_silence(keep_alive: u16) -> Duration {
    if keep_alive == 0 {
        LONGEST_SILENCE
    } else {
        Duration::from_millis(u64::from(keep_alive) * 1500).min(LONGEST_SILENCE)
    }
}

/// Returns the time at which an open connection is closed because its token has expired. A connection that the skew
/// accepted late may stay open as long as it could have been accepted.
#[must_use]
pub fn token_end(expiry: i64, now: i64, rules: TokenRules) -> i64 {
    let grace = if expiry <= now { rules.skew.max(rules.enforce_delay) } else { rules.enforce_delay };
    expiry.saturating_add(grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ref §1.5.
    #[test]
    fn silence_limit_is_one_and_a_half_keep_alives_up_to_the_cap() {
        assert_eq!(longest_silence(60), Duration::from_secs(90));
        assert_eq!(longest_silence(1177), Duration::from_millis(1_765_500));
        assert_eq!(longest_silence(1740), LONGEST_SILENCE);
        assert_eq!(longest_silence(0), LONGEST_SILENCE);
    }

    /// Ref §1.12.
    #[test]
    fn a_token_ends_its_connection() {
        let strict = TokenRules { skew: 300, enforce_delay: 0 };
        assert_eq!(token_end(1000, 500, strict), 1000);
        assert_eq!(token_end(1000, 1100, strict), 1300);
        let lazy = TokenRules { skew: 300, enforce_delay: 600 };
        assert_eq!(token_end(1000, 500, lazy), 1600);
        assert_eq!(token_end(1000, 1100, lazy), 1600);
        assert_eq!(token_end(i64::MAX, 0, lazy), i64::MAX);
    }
}
