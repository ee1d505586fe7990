//! Lifetime and renewal of tokens (ref §2.3). Pure; time and randomness are parameters.

use std::time::Duration;

/// An hour, as Microsoft's own SDKs have it: short enough that a leaked token ends soon, long enough that renewing
/// costs nothing.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

/// The share of a token's life after which it is renewed: late enough to be rare, early enough that a renewal may
/// fail for minutes before the token ends. The range spreads devices that started together.
const RENEWAL: std::ops::Range<f64> = 0.80..0.90;

/// Returns the expiry of a token that is signed at `now`, in seconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn expiry(now: jiff::Timestamp, lifetime: Duration) -> u64 {
    u64::try_from(now.as_second()).unwrap_or(0).saturating_add(lifetime.as_secs())
}

/// Returns the time from `now` to the renewal of a token that expires at `expiry`. `chance` is from 0 to 1.
#[must_use]
pub fn renewal(now: jiff::Timestamp, expiry: u64, chance: f64) -> Duration {
    // From the token's own end, which is in whole seconds: that matters for a lifetime of seconds.
    let end = i64::try_from(expiry.saturating_mul(1000)).unwrap_or(i64::MAX);
    let left = u64::try_from(end.saturating_sub(now.as_millisecond())).unwrap_or(0);
    Duration::from_millis(left)
        .mul_f64(RENEWAL.start + (RENEWAL.end - RENEWAL.start) * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_renewed_after_48_to_54_minutes() {
        let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
        let end = expiry(now, DEFAULT_LIFETIME);
        assert_eq!(end, 1_700_003_600);
        assert_eq!(renewal(now, end, 0.0), Duration::from_secs(2880));
        assert!(renewal(now, end, 1.0) <= Duration::from_secs(3240));
        assert_eq!(renewal(now, 0, 0.5), Duration::ZERO);
    }
}
