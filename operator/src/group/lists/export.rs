//! The list of a group's devices with their credentials, for flashing devices that run elsewhere. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use lanyard_crds::slot::InUse;
use lanyard_crds::status::CertificateStatus;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_protocol::hub::key::SymmetricKey;
use zeroize::Zeroizing;

use super::csv::cell;
use super::pace::Listing;
use crate::fault::Fault;
use crate::group::lists::device_list::{DEVICE_ID, DEVICE_NAME, guarded};
use crate::group::possession;
use crate::kubernetes::secret::SecretData;
use crate::reason::Reason;

/// The list's key in its Secret.
pub const KEY: &str = "devices.csv";
/// The columns besides the two that an import has too.
const COLUMNS: &str =
    "IOTC_SASKEY_PRIMARY,IOTC_SASKEY_SECONDARY,IOTC_X509THUMBPRINT_PRIMARY,IOTC_X509THUMBPRINT_SECONDARY";
/// The most that Kubernetes takes in one Secret, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// A list that can be written. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Export {
    text: Zeroizing<String>,
    /// Number of devices in the list.
    pub devices: usize,
}

impl Export {
    /// Returns the facts of the list to remember.
    #[must_use]
    pub fn listing(&self, name: &str) -> Listing {
        Listing::new(name, self.text.as_bytes(), self.devices)
    }
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").field("devices", &self.devices).finish_non_exhaustive()
    }
}

/// Returns the list; the same devices and keys always give the same bytes.
///
/// Devices without credentials are not in it: those that are blocked, that wait for approval, or that something is wrong with.
///
/// # Errors
/// [`Fault`]: more devices than a Secret has room for.
pub fn export(name: &str, devices: &[Arc<IoTDevice>], keys: Option<&SecretData>) -> Result<Export, Fault> {
    let key = |name: &str| SymmetricKey::from_base64(&keys?.text(name)?).ok();
    let (primary, secondary) = (key("primaryKey"), key("secondaryKey"));
    let derived = |key: &Option<SymmetricKey>, id: &str| {
        key.as_ref().map_or_else(Zeroizing::default, |key| key.derive(id).to_base64())
    };
    let mut listed: Vec<&IoTDevice> =
        devices.iter().map(AsRef::as_ref).filter(|device| has_credentials(device)).collect();
    listed
        .sort_by(|one, other| (one.device_id(), one.name_any()).cmp(&(other.device_id(), other.name_any())));
    let mut text = Zeroizing::new(format!("{DEVICE_ID},{DEVICE_NAME},{COLUMNS}\r\n"));
    for device in &listed {
        let id = device.device_id();
        let name = device.spec.display_name.as_deref().unwrap_or_default();
        let credentials = device.status.as_ref().and_then(|status| status.credentials.as_ref());
        let thumbprint =
            |slot: Option<&CertificateStatus>| slot.map_or("", |slot| &slot.sha256_thumbprint).to_owned();
        for (column, part) in [
            cell(id),
            cell(&guarded(name)),
            derived(&primary, id).to_string(),
            derived(&secondary, id).to_string(),
            thumbprint(credentials.and_then(|credentials| credentials.primary.as_ref())),
            thumbprint(credentials.and_then(|credentials| credentials.secondary.as_ref())),
        ]
        .map(Zeroizing::new)
        .iter()
        .enumerate()
        {
            if column > 0 {
                text.push(',');
            }
            text.push_str(part);
        }
        text.push_str("\r\n");
    }
    if text.len() > MAX_BYTES {
        return Err(too_large(name, listed.len(), text.len()));
    }
    Ok(Export { text, devices: listed.len() })
}

/// Returns whether a name is that of a group's verification Secret, which is deleted if there is no code.
#[must_use]
pub fn is_taken(group: &ProvisioningGroup, name: &str) -> bool {
    [InUse::Primary, InUse::Secondary]
        .into_iter()
        .any(|slot| possession::secret_name(&group.name_any(), slot) == name)
}

/// Returns the fault for such a name.
#[must_use]
pub fn taken(group: &ProvisioningGroup, name: &str) -> Fault {
    let group = group.name_any();
    let message = format!(
        "export.secretName: Secret {name} is the one of a verification certificate, so the list is \
            not written: use another name, such as {group}-export"
    );
    Fault::new(Reason::InvalidSpec, message)
}

fn has_credentials(device: &IoTDevice) -> bool {
    let issued = device.status.as_ref().is_some_and(|status| status.credentials.is_some());
    issued && !device.spec.blocked && device.metadata.deletion_timestamp.is_none()
}

fn too_large(name: &str, devices: usize, bytes: usize) -> Fault {
    let message = format!(
        "the list of {devices} devices has {bytes} bytes and a Secret takes {MAX_BYTES}: Secret {name} stays as it \
            was; divide the devices into several groups"
    );
    Fault::new(Reason::ExportTooLarge, message)
}

/// Returns the whole Secret that holds the list.
#[must_use]
pub fn secret(group: &ProvisioningGroup, name: &str, export: &Export) -> Secret {
    let labels =
        [("app.kubernetes.io/part-of", "lanyard"), ("app.kubernetes.io/managed-by", "lanyard-operator")];
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: group.namespace(),
            labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            owner_references: group.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(export.text.as_bytes().to_vec()))])),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::csv::rows;
    use super::*;
    use crate::group::lists::device_list::read;

    const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const K64: &str =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
    #[test]
    fn export_to_a_verification_secret_is_refused() {
        for (name, taken) in [
            ("g-verification", true),
            ("g-secondary-verification", true),
            ("g-export", false),
            ("h-verification", false),
        ] {
            assert_eq!(is_taken(&group(), name), taken, "{name}");
        }
    }

    const ISSUED: &str = "{credentials: {secretName: s, kind: SharedAccessKey}}";

    fn group() -> ProvisioningGroup {
        let head = "apiVersion: lanyard.dev/v1alpha1, kind: ProvisioningGroup, metadata: {name: g, namespace: n, uid: u}";
        let spec = "dps: {idScope: s}, attestation: {symmetricKey: {secretRef: {name: k}}}";
        serde_saphyr::from_str(&format!("{{{head}, spec: {{{spec}}}}}")).unwrap()
    }

    fn device(id: &str, spec: &str, status: &str) -> Arc<IoTDevice> {
        let head = "apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {name: a, namespace: n}";
        let yaml = format!(
            "{{{head}, spec: {{groupRef: {{name: g}}, deviceId: '{id}', {spec}}}, status: {status}}}"
        );
        Arc::new(serde_saphyr::from_str(&yaml).unwrap())
    }

    fn keys(entries: &[(&str, &str)]) -> SecretData {
        entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    fn text(export: &Export) -> String {
        String::from_utf8(secret(&group(), "list", export).data.unwrap()[KEY].0.clone()).unwrap()
    }

    #[test]
    fn secret_of_a_list_belongs_to_its_group() {
        let exported = export("list", &[], None).unwrap();
        let mut written = serde_json::to_value(secret(&group(), "list", &exported)).unwrap();
        assert!(written["data"].as_object_mut().unwrap().remove(KEY).is_some());
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {}, "metadata": {
                "name": "list", "namespace": "n",
                "labels": {"app.kubernetes.io/part-of": "lanyard", "app.kubernetes.io/managed-by": "lanyard-operator"},
                "ownerReferences": [{"apiVersion": "lanyard.dev/v1alpha1", "controller": true,
                    "kind": "ProvisioningGroup", "name": "g", "uid": "u"}]},
        });
        assert_eq!(written, expected);
    }

    /// Reference, derivation vectors 2, 3 and 5.
    #[test]
    fn keys_of_both_slots_sorted_by_id() {
        let devices = [
            device("sensor:line3_a.7", "displayName: '=HYPERLINK(\"x\")'", ISSUED),
            device("dev-01", "displayName: 'Press, \"big\"'", ISSUED),
            device("waiting", "", "{provisioningState: WaitingForApproval}"),
            device("blocked", "blocked: true", ISSUED),
        ];
        let both = keys(&[("primaryKey", K64), ("secondaryKey", K32)]);
        let exported = export("list", &devices, Some(&both)).unwrap();
        assert_eq!(
            text(&exported),
            "IOTC_DEVICEID,IOTC_DEVICENAME,IOTC_SASKEY_PRIMARY,IOTC_SASKEY_SECONDARY,IOTC_X509THUMBPRINT_PRIMARY,IOTC_X509THUMBPRINT_SECONDARY\r\n\
             dev-01,\"Press, \"\"big\"\"\",UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE=,luaCqHSmg758Dy2PlrF3Vl83Pcf53G9Nc/vj86Xl0d4=,,\r\n\
             sensor:line3_a.7,\"'=HYPERLINK(\"\"x\"\")\",aapYnrjcHOEz9dza5mBFw2t3uo9/xLJcNhOz1lptp9c=,dNvWGcDdPAYfFv/7d8X8/yp48vvabCeyTXhaVf7XOQ4=,,\r\n"
        );
        assert_eq!(exported.devices, 2);
        let mut turned = devices.to_vec();
        turned.reverse();
        assert_eq!(export("list", &turned, Some(&both)).unwrap(), exported, "the same bytes");
        // An exported list can be imported.
        let list = read(&text(&exported)).unwrap();
        assert_eq!(list.entries[1].display_name.as_deref(), Some("=HYPERLINK(\"x\")"));
        assert!(list.mistakes.is_empty());
        // Without a second key its column is empty.
        let one = export("list", &devices, Some(&keys(&[("primaryKey", K64)]))).unwrap();
        assert!(text(&one).contains("bKJE=,,,\r\n"));
    }

    #[test]
    fn certificates_have_their_thumbprints() {
        let slot = |digit: &str| {
            let (sha1, sha256) = (digit.repeat(40), digit.repeat(64));
            format!(
                "{{sha1Thumbprint: '{sha1}', sha256Thumbprint: '{sha256}', serialNumber: '1', notAfter: '2030-01-01T00:00:00Z'}}"
            )
        };
        let status = format!(
            "{{credentials: {{secretName: s, kind: X509, primary: {}, secondary: {}}}}}",
            slot("A"),
            slot("B")
        );
        let exported = export("list", &[device("d", "", &status)], None).unwrap();
        let row = rows(&text(&exported)).remove(1).unwrap();
        assert_eq!(row.cells, ["d", "", "", "", &"A".repeat(64), &"B".repeat(64)]);
    }

    #[test]
    fn export_larger_than_a_secret_is_reported() {
        let one = device("d", &format!("displayName: {}", "n".repeat(148)), ISSUED);
        let devices: Vec<_> = (0..6000)
            .map(|number| {
                let mut device = IoTDevice::clone(&one);
                device.spec.device_id = Some(format!("d{number}"));
                Arc::new(device)
            })
            .collect();
        let keys = keys(&[("primaryKey", K64)]);
        assert_eq!(export("list", &devices[..5000], Some(&keys)).unwrap().devices, 5000);
        let fault = export("list", &devices, Some(&keys)).unwrap_err();
        assert_eq!(fault.reason, Reason::ExportTooLarge);
        assert!(
            fault.message.contains("6000 devices") && fault.message.contains("Secret list stays"),
            "{}",
            fault.message
        );
    }
}
