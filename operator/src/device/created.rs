//! Field ownership of a created object, and answers of the API server to a write. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use crate::fault::Fault;
use crate::kubernetes::key::Key;
use crate::kubernetes::labels::FIELD_MANAGER;
use crate::reason::Reason;

/// The managed fields of an object that the operator created, as if it had applied them; `None` where nothing is to be done.
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
pub(super) enum Answer {
    Taken(Box<ObjectMeta>),
    Waiting(String),
    Refused(Fault),
}

/// Returns the answer for an error that a retry does not fix; other errors are returned as they are.
pub(super) fn refusal(
    kind: &str,
    key: &Key,
    creating: bool,
    error: kube::Error,
) -> Result<Answer, kube::Error> {
    let kube::Error::Api(status) = &error else { return Err(error) };
    match status.code {
        // The next reconciliation reads its owner.
        409 if creating => Ok(Answer::Waiting(format!("{kind} {} was made a moment ago", key.name))),
        403 if status.message.contains("being terminated") => {
            Ok(Answer::Waiting(format!("namespace {} is being deleted", key.namespace)))
        }
        400 | 403 | 422 => {
            let message = format!("the API server refuses {kind} {}: {}", key.name, status.message);
            Ok(Answer::Refused(Fault::new(Reason::Refused, message)))
        }
        _ => Err(error),
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

    #[test]
    fn l3_an_object_made_meanwhile_is_looked_at_again() {
        let status = kube::core::Status { code: 409, ..kube::core::Status::default() };
        let answer = refusal("Secret", &Key::new("n", "a"), true, kube::Error::Api(status.boxed()));
        assert!(matches!(answer, Ok(Answer::Waiting(_))));
    }
}
