//! `/livez` and `/readyz`. A process that answers serves: both listeners are open before.

use axum::extract::State;
use axum::http::StatusCode;

use crate::web::state::Web;

/// The process answers.
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Devices may connect.
pub async fn readyz(State(web): State<Web>) -> (StatusCode, &'static str) {
    if web.stop.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}
