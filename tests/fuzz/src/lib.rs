//! Readers of what others write, each given whatever bytes there are: it reads or refuses them, and what it promises holds.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]

pub mod configuration;
pub mod files;
pub mod packets;
pub mod template;
pub mod waits;
pub mod wire;

/// Gives bytes to one reader; panics where that breaks a promise.
pub type Target = fn(&[u8]);

/// All readers, each with the name of its folder of seeds.
pub const TARGETS: [(&str, Target); 7] = [
    ("configuration", configuration::read),
    ("journal", files::journal),
    ("packets", packets::read),
    ("segment", files::segment),
    ("template", template::read),
    ("waits", waits::read),
    ("wire", wire::read),
];

/// The reader of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|&(_, target)| target)
}
