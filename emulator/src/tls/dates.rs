//! Dates of certificates. Pure.

use jiff::Timestamp;

/// Returns the time since 1970, for an addition to that year's start: rcgen's time type has no other constructor.
pub(super) fn since_1970(timestamp: Timestamp) -> std::time::Duration {
    std::time::Duration::from_secs(u64::try_from(timestamp.as_second()).unwrap_or_default())
}
