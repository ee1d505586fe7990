//! Waits that DPS asks for.

use lanyard_agent::session::backoff::Backoff;
use lanyard_agent::wait::{AskedWait, LONGEST, after};
use lanyard_handoff::status::ConnectionReason;
use lanyard_protocol::hub::topic::FromDps;
use tokio::time::Instant;

/// Reads each line as the topic of a failure with a wait: the device retries at most an hour later.
///
/// # Panics
/// If the sum overflows, or the wait is longer.
pub fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (mut pace, now) = (Backoff::default(), Instant::now());
    for answer in text.lines().filter_map(|topic| FromDps::parse(topic).ok()) {
        let reason = match answer.status {
            401 | 404 => ConnectionReason::RegistrationUnauthorized,
            429 | 500.. => ConnectionReason::HubUnavailable,
            _ => ConnectionReason::RegistrationFailed,
        };
        let asked = answer.retry_after.map(AskedWait::from_secs);
        let step = pace.after(reason, asked, f64::from(answer.status % 100) / 99.0);
        let wait = step.wait.expect("an answer of DPS never waits for new credentials");
        assert!(wait <= LONGEST, "{wait:?}");
        assert!(after(now, wait) <= now + LONGEST);
    }
}
