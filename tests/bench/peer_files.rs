//! Address of the hub and folder of the peers' programs.

use std::path::{Path, PathBuf};

/// Address of the hub. The SDKs connect to port 8883 only, so the hub needs an address of its own.
pub(crate) const HUB: &str = "127.0.0.32";

/// Returns the folder of the peers' programs.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peers")
}
