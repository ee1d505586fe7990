//! Current time; a parameter, so that tests can let tokens expire. Reads the system's clock.

use std::fmt::Debug;

use jiff::Timestamp;

/// Source of the current time.
pub trait Clock: Debug + Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Returns the current time in whole seconds since 1970, as tokens count them.
    fn seconds(&self) -> i64 {
        self.now().as_second()
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the program's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
