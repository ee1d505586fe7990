//! Labels of the objects of a device. Pure.

use std::collections::BTreeMap;

use crate::kubernetes::labels::{DEVICE_LABEL, MANAGED_BY, MANAGER, NAME, NAME_LABEL};

/// Returns the labels of everything that the operator creates for a device.
pub(super) fn labels(device: &str) -> BTreeMap<String, String> {
    let labels = [
        (NAME_LABEL, NAME),
        ("app.kubernetes.io/instance", device),
        ("app.kubernetes.io/component", "agent"),
        ("app.kubernetes.io/part-of", "lanyard"),
        (MANAGED_BY, MANAGER),
        (DEVICE_LABEL, device),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
