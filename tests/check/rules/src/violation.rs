//! A broken rule. Pure.

/// A broken rule, and where.
pub(crate) struct Violation {
    pub(crate) place: String,
    pub(crate) text: String,
}

impl Violation {
    pub(crate) fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}
