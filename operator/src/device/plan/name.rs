//! Names of what is made for a device. Pure.

use kube::ResourceExt;
use lanyard_crds::IoTDevice;
use sha2::{Digest, Sha256};

/// The longest name of a `StatefulSet`: its pods bear it with a dash and a hash of up to ten characters in the label
/// `controller-revision-hash`, and a label has 63.
const MAX_WORKLOAD: usize = 52;
const SUFFIX: &str = "-agent";
/// 40 bits: enough that no two devices of one namespace meet by chance.
const HASH_BYTES: usize = 5;

/// Returns the name of the agent's `StatefulSet` and `ConfigMap`: `<device>-agent` where that is a DNS label that
/// leaves room for what Kubernetes appends, else a shortened name with a hash. No hash ends as the suffix does, so that
/// no name of the one kind is a name of the other.
#[must_use]
pub fn workload(device: &str) -> String {
    let plain = format!("{device}{SUFFIX}");
    if plain.len() <= MAX_WORKLOAD && !device.contains('.') {
        return plain;
    }
    let hash = hex::encode(&Sha256::digest(device)[..HASH_BYTES]);
    let room = MAX_WORKLOAD - SUFFIX.len() - 1 - hash.len();
    let start: String =
        device.chars().take(room).map(|letter| if letter == '.' { '-' } else { letter }).collect();
    format!("{}{SUFFIX}-{hash}", start.trim_end_matches('-'))
}

/// Returns the name of the Secret with a device's credentials.
#[must_use]
pub fn credentials(device: &IoTDevice) -> String {
    let requested = device.spec.credentials.as_ref().and_then(|credentials| credentials.secret_name.clone());
    requested.unwrap_or_else(|| format!("{}-credentials", device.name_any()))
}

/// Returns the device whose Secret has this name by default.
#[must_use]
pub fn device_of_credentials(secret: &str) -> Option<&str> {
    secret.strip_suffix("-credentials")
}

/// Returns the device whose claim has this name, unless the name is shortened with a hash.
#[must_use]
pub fn device_of_claim(claim: &str) -> Option<&str> {
    claim.strip_suffix("-buffer")?.strip_suffix(SUFFIX)
}

/// Returns the name of the claim that the operator creates for a device's buffer.
#[must_use]
pub fn claim(device: &str) -> String {
    format!("{}-buffer", workload(device))
}

/// Returns the name of the agent's only pod.
#[must_use]
pub fn pod(workload: &str) -> String {
    format!("{workload}-0")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_plain_where_they_fit() {
        let long = "d".repeat(46);
        for (device, name) in [
            ("press-17", "press-17-agent"),
            (long.as_str(), &format!("{long}-agent")),
            // Never another one: what was made under it would be lost.
            (&format!("{long}d"), "ddddddddddddddddddddddddddddddddddd-agent-d76d51d5a9"),
            ("press.17", "press-17-agent-421085e586"),
        ] {
            assert_eq!(workload(device), name, "{device}");
        }
    }

    /// An object with a default name is found without an index.
    #[test]
    fn default_names_lead_back_to_the_device() {
        for (secret, device) in [("press-17-credentials", Some("press-17")), ("press-17", None)] {
            assert_eq!(device_of_credentials(secret), device, "{secret}");
        }
        for (name, device) in [
            (claim("press-17"), Some("press-17")),
            (claim("press.17"), None),
            ("press-17-buffer".to_owned(), None),
        ] {
            assert_eq!(device_of_claim(&name), device, "{name}");
        }
    }

    proptest! {
        #[test]
        fn name_is_a_unique_dns_label_with_room(
            devices in proptest::collection::hash_set("[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", 1..40)
        ) {
            let names: HashSet<String> = devices.iter().map(|device| workload(device)).collect();
            prop_assert_eq!(names.len(), devices.len());
            for name in names {
                prop_assert!(name.len() <= MAX_WORKLOAD, "{}", name);
                prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
                prop_assert!(!name.starts_with('-') && !name.ends_with('-'));
            }
        }

        /// Names that differ behind the part that is kept only, and names that look like another's shortened one.
        #[test]
        fn similar_ids_get_different_names(start in "[a-z]{45}", one in "[a-z0-9]{18}", other in "[a-z0-9]{18}") {
            prop_assume!(one != other);
            let (one, other) = (workload(&format!("{start}{one}")), workload(&format!("{start}{other}")));
            prop_assert_ne!(&one, &other);
            prop_assert_ne!(workload(&one), one);
        }
    }
}
