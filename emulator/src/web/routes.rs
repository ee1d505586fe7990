//! Which path leads where. Talks to the network.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use super::{devices, events, metrics, probes};
use crate::cloud::Cloud;

/// What every handler may use.
#[derive(Debug, Clone)]
pub struct Web {
    /// What is shown and controlled.
    pub cloud: Arc<Cloud>,
    /// Ends followers.
    pub stop: CancellationToken,
}

/// All routes.
pub fn routes(web: Web) -> Router {
    Router::new()
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(metrics::show))
        .route("/api/devices", get(devices::list))
        .route("/api/devices/{id}/disconnect", post(devices::disconnect))
        .route("/api/events", get(events::list))
        .with_state(web)
}
