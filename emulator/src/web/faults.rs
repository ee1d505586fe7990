//! `/api/faults`: faults that the emulator causes on purpose.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::controls::faults;
use crate::web::controls::shown;
use crate::web::state::Web;

/// Handles GET of all faults.
pub async fn list(State(web): State<Web>) -> Json<Value> {
    Json(faults::list(&web.state))
}

/// Handles GET of a fault.
pub async fn show(State(web): State<Web>, Path(name): Path<String>) -> Response {
    shown(faults::get(&web.state, &name))
}

/// Handles PUT of a fault.
pub async fn put(State(web): State<Web>, Path(name): Path<String>, body: String) -> Response {
    shown(faults::put(&web.state, &name, &body))
}

/// Handles DELETE of a fault.
pub async fn delete(State(web): State<Web>, Path(name): Path<String>) -> Response {
    match faults::delete(&web.state, &name) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => shown(Err(error)),
    }
}

/// Handles DELETE of all faults.
pub async fn clear(State(web): State<Web>) -> StatusCode {
    faults::clear(&web.state);
    StatusCode::NO_CONTENT
}
