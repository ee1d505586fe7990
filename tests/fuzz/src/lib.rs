//! Readers of input from others, under arbitrary bytes: they read or refuse them, and their invariants hold.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]

pub mod configuration;
pub mod files;
pub mod packets;
pub mod template;
pub mod waits;
pub mod wire;

/// Reader under test; panics if an invariant does not hold.
pub type Target = fn(&[u8]);

/// Readers with the names of their folders of seeds.
pub const TARGETS: [(&str, Target); 7] = [
    ("configuration", configuration::read),
    ("journal", files::journal),
    ("packets", packets::read),
    ("segment", files::segment),
    ("template", template::read),
    ("waits", waits::read),
    ("wire", wire::read),
];

/// Returns the reader with this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|&(_, target)| target)
}
