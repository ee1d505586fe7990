//! Errors of writing a planned object. Pure.

use crate::fault::Fault;

/// Error of writing a planned object.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A user must fix it: the object's status reports it.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The API server failed: a retry may fix it.
    #[error("the API server failed")]
    Api(#[source] kube::Error),
}

impl ApplyError {
    /// Separates the errors that a status reports from those that end a reconcile.
    ///
    /// # Errors
    /// The error of the API server.
    pub fn separate<T>(result: Result<T, Self>) -> Result<Result<T, Fault>, kube::Error> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(Self::Fault(fault)) => Ok(Err(fault)),
            Err(Self::Api(error)) => Err(error),
        }
    }
}

/// Turns an object into JSON or back.
pub(super) fn json<T>(result: Result<T, serde_json::Error>) -> Result<T, ApplyError> {
    result.map_err(|error| ApplyError::Api(kube::Error::SerdeError(error)))
}
