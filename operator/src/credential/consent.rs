//! Consent of a Secret's owner: the one purpose that the operator uses a Secret for. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::fault::Fault;
use crate::kubernetes::secret::Marks;
use crate::kubernetes::secret::SecretData;
use crate::reason::Reason;

/// Label with which the owner of a Secret declares its use; the Secret type `lanyard.dev/<use>` means the same.
pub const USE_LABEL: &str = "lanyard.dev/use";
/// The prefix of Secret types that say a use.
const TYPE_PREFIX: &str = "lanyard.dev/";
/// Types of Secrets that say no use, and hold nothing that other software has a contract on.
const PLAIN_TYPES: [&str; 2] = ["Opaque", "kubernetes.io/tls"];
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "lanyard-operator");

/// The purpose of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The key or connection string of one device.
    DeviceKey,
    /// The keys of an enrollment group.
    GroupKey,
    /// A CA that signs the certificates of a group's devices.
    Issuer,
    /// Certificates that are trusted besides the public roots.
    TrustedCa,
    /// The certificate of one device, kept by other software.
    DeviceCertificate,
}

impl Use {
    /// Returns the value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeviceKey => "device-key",
            Self::GroupKey => "group-key",
            Self::Issuer => "issuer",
            Self::TrustedCa => "trusted-ca",
            Self::DeviceCertificate => "device-certificate",
        }
    }
}

impl Marks {
    /// Reads the marks of a Secret.
    #[must_use]
    pub fn of(meta: &ObjectMeta, type_: Option<&str>) -> Self {
        let label = |name: &str| meta.labels.as_ref().and_then(|labels: &BTreeMap<_, _>| labels.get(name));
        let by_type = type_.and_then(|type_| type_.strip_prefix(TYPE_PREFIX)).map(str::to_owned);
        let plain = type_.is_none_or(|type_| PLAIN_TYPES.contains(&type_) || by_type.is_some());
        let owned = meta
            .owner_references
            .iter()
            .flatten()
            .any(|owner| owner.controller == Some(true) && owner.api_version.starts_with(TYPE_PREFIX));
        Self {
            declared: by_type.or_else(|| label(USE_LABEL).cloned()),
            foreign: !plain,
            made_by_operator: owned || label(MANAGED_BY.0).is_some_and(|manager| manager == MANAGED_BY.1),
        }
    }
}

/// A use that is asked of a Secret.
#[derive(Debug, Clone, Copy)]
pub struct UseRequest<'a> {
    /// Namespace of the Secret, for the command in a message.
    pub namespace: &'a str,
    /// Name of the Secret.
    pub secret: &'a str,
    /// The use.
    pub purpose: Use,
    /// A ProvisioningGroup that names the Secret as its key or CA.
    pub group: Option<&'a str>,
    /// True if a Secret without a declared use is refused.
    pub explicit: bool,
}

/// Checks that a Secret may be used as asked. No message tells what the Secret holds, or which use it declares.
///
/// A declared use decides alone. Without one, the Secret is refused where its data or the objects that name it point to another
/// use: `primaryKey` beside `secondaryKey` is what a group's Secret looks like, and a device's key with both needs the label.
///
/// # Errors
/// [`Fault`] with the command that declares the use.
pub fn check(request: UseRequest<'_>, data: &SecretData) -> Result<(), Fault> {
    let UseRequest { secret, purpose, .. } = request;
    let marks = data.marks();
    let wrong = |message: String| Err(Fault::new(Reason::SecretUseMismatch, message));
    if marks.made_by_operator {
        return wrong(format!(
            "Secret {secret:?} is made by the operator and cannot serve as a {purpose}: name your own Secret",
            purpose = purpose.as_str()
        ));
    }
    match marks.declared.as_deref() {
        Some(declared) if declared == purpose.as_str() => return Ok(()),
        Some(_) => {
            return wrong(format!(
                "Secret {secret:?} declares another use than {purpose} by its type or its label {USE_LABEL}: name a \
                    Secret for {purpose}, or correct the label",
                purpose = purpose.as_str()
            ));
        }
        None => {}
    }
    if let (Some(group), Use::DeviceKey | Use::DeviceCertificate) = (request.group, purpose) {
        return wrong(format!(
            "Secret {secret:?} belongs to ProvisioningGroup {group}, and a group's key or CA never reaches a \
                device: name the device's own Secret, or use groupRef: {{name: {group}}}"
        ));
    }
    let command = || {
        format!(
            "if you want this use, ask the owner of the Secret to run `kubectl -n {} label secret {secret} {USE_LABEL}={}`",
            request.namespace,
            purpose.as_str()
        )
    };
    let missing = |why: &str| {
        let message =
            format!("Secret {secret:?} {why}, so it is not used as {}: {}", purpose.as_str(), command());
        Err(Fault::new(Reason::SecretUseMissing, message))
    };
    if request.explicit {
        return missing("does not declare its use, which this operator requires");
    }
    if marks.foreign {
        return missing("has a type that belongs to other software");
    }
    let has = |key: &str| data.bytes(key).is_some();
    match purpose {
        Use::DeviceKey if !has("connectionString") && has("secondaryKey") => {
            missing("looks like the Secret of a group")
        }
        Use::GroupKey if has("connectionString") => missing("looks like the Secret of a device"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(yaml: &str) -> ObjectMeta {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn data(keys: &[&str], marks: Marks) -> SecretData {
        keys.iter().map(|key| ((*key).to_owned(), b"x".to_vec())).collect::<SecretData>().marked(marks)
    }

    fn request(purpose: Use) -> UseRequest<'static> {
        UseRequest { namespace: "plant", secret: "s", purpose, group: None, explicit: false }
    }

    fn reason(request: UseRequest<'_>, data: &SecretData) -> &'static str {
        check(request, data).map_or_else(|fault| fault.reason.as_str(), |()| "")
    }

    #[test]
    fn marks_come_from_type_label_and_owner() {
        let labelled = meta("{labels: {lanyard.dev/use: group-key}}");
        assert_eq!(Marks::of(&labelled, Some("Opaque")).declared.as_deref(), Some("group-key"));
        let typed = Marks::of(&labelled, Some("lanyard.dev/issuer"));
        assert_eq!((typed.declared.as_deref(), typed.foreign), (Some("issuer"), false), "the type decides");
        for (type_, foreign) in
            [("Opaque", false), ("kubernetes.io/tls", false), ("cluster.x-k8s.io/secret", true)]
        {
            assert_eq!(Marks::of(&ObjectMeta::default(), Some(type_)).foreign, foreign, "{type_}");
        }
        for made in [
            "{labels: {app.kubernetes.io/managed-by: lanyard-operator}}",
            "{ownerReferences: [{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, name: a, uid: u, controller: true}]}",
        ] {
            assert!(Marks::of(&meta(made), None).made_by_operator, "{made}");
        }
        for other in [
            "{ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: a, uid: u, controller: true}]}",
            "{ownerReferences: [{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, name: a, uid: u}]}",
            "{labels: {app.kubernetes.io/managed-by: helm}}",
        ] {
            assert!(!Marks::of(&meta(other), None).made_by_operator, "{other}");
        }
    }

    #[test]
    fn a_declared_use_is_the_only_use() {
        let marks = || Marks { declared: Some("group-key".to_owned()), ..Marks::default() };
        let declared = data(&["primaryKey"], marks());
        assert_eq!(reason(request(Use::GroupKey), &declared), "");
        for other in [Use::DeviceKey, Use::Issuer, Use::TrustedCa, Use::DeviceCertificate] {
            let fault = check(request(other), &declared).unwrap_err();
            assert_eq!(fault.reason, Reason::SecretUseMismatch);
            assert!(!fault.message.contains("group-key"), "{}", fault.message);
        }
    }

    #[test]
    fn a_secret_without_a_declared_use_serves_what_it_looks_like() {
        let plain = |keys| data(keys, Marks::default());
        for (purpose, keys, expected) in [
            (Use::DeviceKey, &["primaryKey"][..], ""),
            (Use::DeviceKey, &["connectionString", "secondaryKey"], ""),
            (Use::DeviceKey, &["primaryKey", "secondaryKey"], "SecretUseMissing"),
            (Use::GroupKey, &["primaryKey", "secondaryKey"], ""),
            (Use::GroupKey, &["primaryKey", "connectionString"], "SecretUseMissing"),
            (Use::Issuer, &["tls.crt", "tls.key"], ""),
        ] {
            assert_eq!(reason(request(purpose), &plain(keys)), expected, "{purpose:?} {keys:?}");
        }
        let foreign = data(&["tls.crt", "tls.key"], Marks { foreign: true, ..Marks::default() });
        assert_eq!(reason(request(Use::Issuer), &foreign), "SecretUseMissing");
        let marks = Marks { declared: Some("device-key".to_owned()), ..Marks::default() };
        assert_eq!(reason(request(Use::DeviceKey), &data(&["primaryKey", "secondaryKey"], marks)), "");
    }

    #[test]
    fn a_groups_secret_never_reaches_a_device() {
        let theirs = |purpose| UseRequest { group: Some("plant-a"), ..request(purpose) };
        let plain = data(&["primaryKey", "tls.crt"], Marks::default());
        for purpose in [Use::DeviceKey, Use::DeviceCertificate] {
            assert_eq!(reason(theirs(purpose), &plain), "SecretUseMismatch");
        }
        assert_eq!(reason(theirs(Use::TrustedCa), &plain), "", "its certificates are no secret");
    }

    #[test]
    fn a_secret_of_the_operator_serves_nothing() {
        let marks = Marks { made_by_operator: true, declared: Some("device-key".to_owned()), foreign: false };
        assert_eq!(reason(request(Use::DeviceKey), &data(&["primaryKey"], marks)), "SecretUseMismatch");
    }

    #[test]
    fn an_explicit_operator_names_the_command_that_consents() {
        let explicit = UseRequest { explicit: true, ..request(Use::Issuer) };
        let fault = check(explicit, &data(&["tls.crt"], Marks::default())).unwrap_err();
        assert_eq!(fault.reason, Reason::SecretUseMissing);
        assert!(
            fault.message.contains("`kubectl -n plant label secret s lanyard.dev/use=issuer`"),
            "{}",
            fault.message
        );
        assert!(!fault.message.contains("tls.crt"));
    }
}
