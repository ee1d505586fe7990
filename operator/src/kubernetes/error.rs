//! Error of a reconcile that is retried. Pure.

/// A look that is tried again.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not do what was asked: {0}")]
pub struct ReconcileError(#[source] pub kube::Error);

impl ReconcileError {
    /// Every reason.
    pub const REASONS: [&str; 5] = ["ApiConflict", "ApiForbidden", "ApiBusy", "ApiError", "ApiUnreachable"];

    /// In one word, for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match &self.0 {
            kube::Error::Api(status) if status.code == 409 => "ApiConflict",
            kube::Error::Api(status) if status.code == 403 => "ApiForbidden",
            kube::Error::Api(status) if status.code == 429 => "ApiBusy",
            kube::Error::Api(_) => "ApiError",
            _ => "ApiUnreachable",
        }
    }
}
