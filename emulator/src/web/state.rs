//! State of the web server, shared by its handlers.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::state::EmulatorState;

/// State that every handler uses.
#[derive(Debug, Clone)]
pub struct Web {
    /// State of the emulator.
    pub state: Arc<EmulatorState>,
    /// Ends followers.
    pub stop: CancellationToken,
}
