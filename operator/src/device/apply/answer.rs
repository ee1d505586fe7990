//! Field ownership of a created object, and answers of the API server to a write. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use super::error::ApplyError;
use crate::fault::Fault;
use crate::kubernetes::key::Key;
use crate::kubernetes::labels::FIELD_MANAGER;
use crate::reason::Reason;

/// Returns the managed fields of an object that the operator created, as if it had applied them; `None` if there is
/// nothing to change.
pub(super) fn applied(meta: &ObjectMeta) -> Option<Vec<ManagedFieldsEntry>> {
    let ours = |entry: &ManagedFieldsEntry, operation: &str| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some(operation)
            && entry.subresource.is_none()
    };
    let mut fields = meta.managed_fields.clone()?;
    if fields.iter().any(|entry| ours(entry, "Apply")) {
        return None;
    }
    let created = fields.iter_mut().find(|entry| ours(entry, "Update"))?;
    created.operation = Some("Apply".to_owned());
    Some(fields)
}

/// Answer of the API server to a write.
#[derive(Debug)]
pub(super) enum Answer<K> {
    Taken(K),
    Waiting(String),
}

/// Returns the answer to a write. A refusal becomes a [`Fault`]: a retry does not fix it.
pub(super) fn answer<K>(
    kind: &str,
    key: &Key,
    creating: bool,
    written: Result<K, kube::Error>,
) -> Result<Answer<K>, ApplyError> {
    let error = match written {
        Ok(written) => return Ok(Answer::Taken(written)),
        Err(error) => error,
    };
    let kube::Error::Api(status) = &error else { return Err(ApplyError::Api(error)) };
    match status.code {
        // The next reconciliation reads its owner.
        409 if creating => {
            Ok(Answer::Waiting(format!("{kind} {} exists and is not in the cache yet", key.name)))
        }
        403 if status.message.contains("being terminated") => {
            Ok(Answer::Waiting(format!("namespace {} is being deleted", key.namespace)))
        }
        400 | 403 | 422 => {
            let message = format!("the API server refuses {kind} {}: {}", key.name, status.message);
            Err(Fault::new(Reason::Refused, message).into())
        }
        _ => Err(ApplyError::Api(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l3_created_fields_become_applied_ones_once() {
        let entry = |manager: &str, operation: &str, subresource: Option<&str>| ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some(operation.to_owned()),
            subresource: subresource.map(str::to_owned),
            ..ManagedFieldsEntry::default()
        };
        let fields = |entries: Vec<ManagedFieldsEntry>| {
            applied(&ObjectMeta { managed_fields: Some(entries), ..ObjectMeta::default() })
        };
        let other = entry("kubectl", "Update", None);
        let created = fields(vec![other.clone(), entry("lanyard", "Update", None)]).unwrap();
        assert_eq!(created, [other.clone(), entry("lanyard", "Apply", None)]);
        assert_eq!(fields(created), None);
        assert_eq!(fields(vec![other, entry("lanyard", "Update", Some("status"))]), None);
    }

    fn failed(code: u16, message: &str, creating: bool) -> Result<Answer<()>, ApplyError> {
        let status =
            kube::core::Status { code, message: message.to_owned(), ..kube::core::Status::default() };
        answer("Secret", &Key::new("n", "a"), creating, Err(kube::Error::Api(status.boxed())))
    }

    #[test]
    fn l3_object_created_by_another_is_reconciled_again() {
        assert!(matches!(failed(409, "", true), Ok(Answer::Waiting(_))));
        assert!(matches!(failed(409, "", false), Err(ApplyError::Api(_))));
    }

    #[test]
    fn refusals_are_faults_and_other_errors_are_retried() {
        for code in [400, 403, 422] {
            let Err(ApplyError::Fault(fault)) = failed(code, "a policy", false) else { panic!("{code}") };
            assert_eq!(fault.reason, Reason::Refused);
            assert_eq!(fault.message, "the API server refuses Secret a: a policy");
        }
        assert!(matches!(failed(403, "namespace n is being terminated", true), Ok(Answer::Waiting(_))));
        for code in [404, 429, 500] {
            assert!(matches!(failed(code, "", true), Err(ApplyError::Api(_))), "{code}");
        }
        assert!(matches!(answer("Secret", &Key::new("n", "a"), true, Ok(1)), Ok(Answer::Taken(1))));
    }
}
