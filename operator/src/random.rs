//! Random numbers of the program: the only place that draws them.

use rand::distr::{Distribution, StandardUniform};

/// Returns a random value.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the program's source of random numbers")]
pub fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    rand::random()
}
