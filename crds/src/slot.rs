//! The two slots of a group's keys or CAs. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Primary or secondary key or CA of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InUse {
    /// The primary one.
    #[default]
    Primary,
    /// The secondary one.
    Secondary,
}

impl InUse {
    /// Returns the name of the slot, as Azure calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "Primary",
            Self::Secondary => "Secondary",
        }
    }

    /// Returns the name of the key in the group's Secret.
    #[must_use]
    pub const fn secret_key(self) -> &'static str {
        match self {
            Self::Primary => "primaryKey",
            Self::Secondary => "secondaryKey",
        }
    }
}
