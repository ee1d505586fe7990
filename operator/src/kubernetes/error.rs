//! Error of a reconcile that is retried. Pure.

use crate::reason::Reason;
/// A reconciliation that is retried.
#[derive(Debug, thiserror::Error)]
#[error("the request to the API server failed: {0}")]
pub struct ReconcileError(#[source] pub kube::Error);

impl ReconcileError {
    /// Returns the reason, for metrics.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match &self.0 {
            kube::Error::Api(status) if status.code == 409 => Reason::ApiConflict,
            kube::Error::Api(status) if status.code == 403 => Reason::ApiForbidden,
            kube::Error::Api(status) if status.code == 429 => Reason::ApiBusy,
            kube::Error::Api(_) => Reason::ApiError,
            _ => Reason::ApiUnreachable,
        }
    }
}
