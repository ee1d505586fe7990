//! Routes of the web server. Talks to the network.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::guard::guard;
use super::state::Web;
use super::{controls, devices, events, faults, metrics, probes};

/// Returns all routes, for requests to one of `names` and to `localhost`.
pub fn routes(web: Web, names: Arc<[String]>) -> Router {
    Router::new()
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(metrics::show))
        .route("/api/devices", get(devices::list))
        .route("/api/devices/{id}/disconnect", post(devices::disconnect))
        .route("/api/faults", get(faults::list).delete(faults::clear))
        .route("/api/faults/{name}", get(faults::show).put(faults::put).delete(faults::delete))
        .route("/api/events", get(events::list))
        .route(
            "/api/hubs/{hub}/devices/{id}",
            get(controls::show_device).put(controls::put_device).delete(controls::delete_device),
        )
        .route(
            "/api/enrollmentGroups/{id}",
            get(controls::show_group).put(controls::put_group).delete(controls::delete_group),
        )
        .route(
            "/api/enrollments/{id}",
            get(controls::show_individual).put(controls::put_individual).delete(controls::delete_individual),
        )
        .route(
            "/api/certificates/{name}",
            get(controls::show_certificate)
                .put(controls::put_certificate)
                .delete(controls::delete_certificate),
        )
        .route("/api/certificates/{name}/generateVerificationCode", post(controls::generate_code))
        .route("/api/certificates/{name}/verify", post(controls::verify))
        .layer(from_fn_with_state(names, guard))
        .with_state(web)
}
