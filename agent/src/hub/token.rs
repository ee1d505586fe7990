//! How long tokens live and when they are renewed (ref §2.3). Pure; the caller brings time and chance.

use std::time::Duration;

/// An hour, as Microsoft's own SDKs have it: short enough that a leaked token ends soon, long enough that renewing
/// costs nothing.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

/// The share of a token's life after which it is renewed: late enough to be rare, early enough that a renewal may
/// fail for minutes before the token ends. The range spreads devices that started together.
const RENEWAL: std::ops::Range<f64> = 0.80..0.90;

/// When a token that is signed at `now` ends, in seconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn expiry(now: jiff::Timestamp, lifetime: Duration) -> u64 {
    u64::try_from(now.as_second()).unwrap_or(0) + lifetime.as_secs()
}

/// How long after signing a token it is renewed. `chance` is from 0 to 1.
#[must_use]
pub fn renewal(lifetime: Duration, chance: f64) -> Duration {
    lifetime.mul_f64(RENEWAL.start + (RENEWAL.end - RENEWAL.start) * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_renewed_after_48_to_54_minutes() {
        assert_eq!(renewal(DEFAULT_LIFETIME, 0.0), Duration::from_secs(2880));
        assert!(renewal(DEFAULT_LIFETIME, 1.0) <= Duration::from_secs(3240));
        assert_eq!(
            expiry(jiff::Timestamp::from_second(1_700_000_000).unwrap(), DEFAULT_LIFETIME),
            1_700_003_600
        );
    }
}
