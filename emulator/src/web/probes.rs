//! `/livez` and `/readyz`. A process that answers serves: both listeners are open before.

use axum::extract::State;
use axum::http::StatusCode;

use crate::web::state::Web;

/// Confirms that the process answers.
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Returns whether devices may connect: status 200, or 503 while the emulator shuts down.
pub async fn readyz(State(web): State<Web>) -> (StatusCode, &'static str) {
    if web.stop.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}
