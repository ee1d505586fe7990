//! `/api/hubs/…/devices`, `/api/enrollmentGroups`, `/api/enrollments`, `/api/certificates`: what can be changed while the
//! emulator runs, in the shapes of Azure's REST API (ref §9.7, §11.1, §11.5). What a PUT does not name stays as it is.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::controls::change::{Action, Change, ChangeError, Done, Target};
use crate::controls::{apply, certificates, devices, enrollments};
use crate::random;
use crate::registry::enrollment::EnrollmentKind;
use crate::web::state::Web;
use crate::x509::authorities::verification_code;

/// Query that selects one of several DPS instances.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceQuery {
    id_scope: Option<String>,
}

/// Handles GET of a device.
pub async fn show_device(State(web): State<Web>, Path((hub, device_id)): Path<(String, String)>) -> Response {
    shown(devices::show(&web.state, &hub, &device_id))
}

/// Handles PUT of a device.
pub async fn put_device(
    State(web): State<Web>,
    Path((hub, device_id)): Path<(String, String)>,
    body: String,
) -> Response {
    change(&web, Target::Device { hub, device_id }, put(body))
}

/// Handles DELETE of a device.
pub async fn delete_device(
    State(web): State<Web>,
    Path((hub, device_id)): Path<(String, String)>,
) -> Response {
    change(&web, Target::Device { hub, device_id }, Action::Delete)
}

/// Handles GET of a group.
pub async fn show_group(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(which): Query<InstanceQuery>,
) -> Response {
    shown(enrollments::show(&web.state, EnrollmentKind::Group, which.id_scope.as_deref(), &id))
}

/// Handles PUT of a group.
pub async fn put_group(
    State(web): State<Web>,
    Path(enrollment_group_id): Path<String>,
    Query(InstanceQuery { id_scope }): Query<InstanceQuery>,
    body: String,
) -> Response {
    change(&web, Target::Group { id_scope, enrollment_group_id }, put(body))
}

/// Handles DELETE of a group.
pub async fn delete_group(
    State(web): State<Web>,
    Path(enrollment_group_id): Path<String>,
    Query(InstanceQuery { id_scope }): Query<InstanceQuery>,
) -> Response {
    change(&web, Target::Group { id_scope, enrollment_group_id }, Action::Delete)
}

/// Handles GET of an individual enrollment.
pub async fn show_individual(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(which): Query<InstanceQuery>,
) -> Response {
    shown(enrollments::show(&web.state, EnrollmentKind::Individual, which.id_scope.as_deref(), &id))
}

/// Handles PUT of an individual enrollment.
pub async fn put_individual(
    State(web): State<Web>,
    Path(registration_id): Path<String>,
    Query(InstanceQuery { id_scope }): Query<InstanceQuery>,
    body: String,
) -> Response {
    change(&web, Target::Individual { id_scope, registration_id }, put(body))
}

/// Handles DELETE of an individual enrollment.
pub async fn delete_individual(
    State(web): State<Web>,
    Path(registration_id): Path<String>,
    Query(InstanceQuery { id_scope }): Query<InstanceQuery>,
) -> Response {
    change(&web, Target::Individual { id_scope, registration_id }, Action::Delete)
}

/// Handles GET of a certificate.
pub async fn show_certificate(State(web): State<Web>, Path(name): Path<String>) -> Response {
    shown(certificates::show(&web.state.authorities, &name))
}

/// Handles PUT of a certificate.
pub async fn put_certificate(State(web): State<Web>, Path(name): Path<String>, body: String) -> Response {
    change(&web, Target::Certificate { name }, put(body))
}

/// Handles DELETE of a certificate.
pub async fn delete_certificate(State(web): State<Web>, Path(name): Path<String>) -> Response {
    change(&web, Target::Certificate { name }, Action::Delete)
}

/// Makes a new verification code, which replaces the previous one.
pub async fn generate_code(State(web): State<Web>, Path(name): Path<String>) -> Response {
    change(&web, Target::Certificate { name }, Action::Code(verification_code(random::random())))
}

/// Verifies a certificate by the proof of possession in the body.
pub async fn verify(State(web): State<Web>, Path(name): Path<String>, body: String) -> Response {
    change(&web, Target::Certificate { name }, Action::Verify(Zeroizing::new(body)))
}

fn put(body: String) -> Action {
    Action::Put(Zeroizing::new(body))
}

fn change(web: &Web, target: Target, action: Action) -> Response {
    let done = apply::change(&web.state, &Change { target, action }, web.state.clock.now());
    match done {
        Ok(Done::Removed) => StatusCode::NO_CONTENT.into_response(),
        Ok(Done::Shown(value)) => shown(Ok(value)),
        Err(error) => shown(Err(error)),
    }
}

pub(super) fn shown(result: Result<Value, ChangeError>) -> Response {
    let status = match &result {
        Ok(_) => StatusCode::OK,
        Err(ChangeError::NotFound(_)) => StatusCode::NOT_FOUND,
        Err(ChangeError::Wrong(_)) => StatusCode::BAD_REQUEST,
    };
    match result {
        Ok(value) => (status, Json(value)).into_response(),
        Err(error) => (status, format!("{error}\n")).into_response(),
    }
}
