//! Comparison of an object in the cluster with a planned one. Pure.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::kubernetes::quantity::thousandths;

/// Annotation with the fields that an object was last written with. A new write must remove a field that is not planned
/// any more, although all others are as planned. The annotation contains no values, which may be secret.
pub const SHAPE: &str = "lanyard.dev/shape";

/// Returns whether `actual` has every field of `desired` with the same value. Additional fields are no difference.
#[must_use]
pub fn covers(desired: &Value, actual: &Value) -> bool {
    covers_at("", desired, Some(actual))
}

/// Immutable fields.
const FOR_GOOD: [&str; 4] =
    ["/spec/selector", "/spec/serviceName", "/spec/podManagementPolicy", "/spec/volumeClaimTemplates"];

/// Returns whether two `StatefulSet`s differ in an immutable field, so that the existing one must be recreated. Only
/// another version of the operator can have written it.
#[must_use]
pub fn differs_for_good(desired: &Value, actual: &Value) -> bool {
    let empty = |value: &Value| value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
    let field_of = |object: &Value, field: &str| object.pointer(field).cloned().filter(|value| !empty(value));
    FOR_GOOD.iter().any(|field| field_of(desired, field) != field_of(actual, field))
}

fn covers_at(name: &str, desired: &Value, actual: Option<&Value>) -> bool {
    match (desired, actual) {
        (Value::Object(fields), None) => fields.is_empty(),
        (Value::Array(items), None) => items.is_empty(),
        (Value::Object(fields), Some(Value::Object(actual))) => {
            fields.iter().all(|(name, value)| covers_at(name, value, actual.get(name)))
        }
        // Others may own the object too.
        (Value::Array(items), Some(Value::Array(actual))) if name == "ownerReferences" => {
            items.iter().all(|item| actual.iter().any(|actual| covers(item, actual)))
        }
        (Value::Array(items), Some(Value::Array(actual))) => {
            items.len() == actual.len() && items.iter().zip(actual).all(|(item, actual)| covers(item, actual))
        }
        (Value::String(desired), Some(Value::String(actual))) if is_quantity(name) => {
            desired == actual
                || thousandths(desired).is_some_and(|desired| Some(desired) == thousandths(actual))
        }
        (desired, actual) => Some(desired) == actual,
    }
}

/// Returns whether the API server rewrites the text of a field of this name: `1000m` becomes `1`.
fn is_quantity(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "sizeLimit" | "storage")
}

/// Returns a hash of an object with its values. It hashes the text piece by piece: as one string, a Secret's values
/// would be in memory once more.
#[must_use]
pub fn digest(object: &Value) -> [u8; 32] {
    struct Hash(Sha256);
    impl std::io::Write for Hash {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hash(Sha256::new());
    serde_json::to_writer(&mut hash, object).expect("a value has text keys, and hashing does not fail");
    hash.0.finalize().into()
}

/// Returns a short hash of an object's fields, without their values.
#[must_use]
pub fn shape(object: &Value) -> String {
    let mut hash = Sha256::new();
    shape_into(object, &mut hash);
    hex::encode(&hash.finalize()[..8])
}

fn shape_into(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                hash.update(name.as_bytes());
                hash.update([0]);
                shape_into(value, hash);
            }
            hash.update([1]);
        }
        Value::Array(items) => {
            items.iter().for_each(|item| shape_into(item, hash));
            hash.update([2]);
        }
        _ => hash.update([3]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn l10_digest_is_of_the_text_and_tells_values_apart() {
        let object = |value: &str| json!({"data": {"key": value, "\u{e4}": [1, null, true]}});
        let text: [u8; 32] = Sha256::digest(object("a").to_string()).into();
        assert_eq!(digest(&object("a")), text);
        assert_ne!(digest(&object("a")), digest(&object("b")));
    }

    #[test]
    fn additional_fields_are_no_difference() {
        let desired = json!({"metadata": {"labels": {"a": "1"}, "ownerReferences": [{"uid": "x"}]},
            "spec": {"args": ["a", "b"], "empty": {}}});
        let actual = |labels: Value, args: Value| {
            json!({
                "metadata": {"labels": labels, "ownerReferences": [{"uid": "y"}, {"uid": "x", "kind": "K"}], "uid": "z"},
                "spec": {"args": args, "defaulted": true}, "status": {}
            })
        };
        assert!(covers(&desired, &actual(json!({"a": "1", "b": "2"}), json!(["a", "b"]))));
        assert!(!covers(&desired, &actual(json!({"a": "2"}), json!(["a", "b"]))));
        assert!(!covers(&desired, &actual(json!({}), json!(["a", "b"]))));
        assert!(!covers(&desired, &actual(json!({"a": "1"}), json!(["a"]))));
        assert!(!covers(&desired, &actual(json!({"a": "1"}), json!(["b", "a"]))), "the order counts");
    }

    #[test]
    fn immutable_differences_are_told_from_drift() {
        let desired = json!({"spec": {"selector": {"matchLabels": {"a": "1"}}, "podManagementPolicy": "Parallel", "replicas": 1}});
        let other = |field: &str, value: Value| {
            let mut actual = desired.clone();
            actual["spec"][field] = value;
            differs_for_good(&desired, &actual)
        };
        assert!(other("selector", json!({"matchLabels": {"a": "1", "b": "2"}})));
        assert!(other("podManagementPolicy", json!("OrderedReady")));
        assert!(other("serviceName", json!("web")));
        assert!(other("volumeClaimTemplates", json!([{"metadata": {"name": "x"}}])));
        // What servers fill in, and what can be changed.
        assert!(!other("serviceName", json!("")) && !other("volumeClaimTemplates", json!([])));
        assert!(!other("replicas", json!(3)) && !other("minReadySeconds", json!(5)));
        assert!(!differs_for_good(&json!({"data": {}}), &json!({"data": {"a": "b"}})));
    }

    #[test]
    fn quantities_are_compared_by_value() {
        for (one, other, same) in [
            ("1000m", "1", true),
            ("0.5", "500m", true),
            ("1024Mi", "1Gi", true),
            ("1.5Gi", "1536Mi", true),
            ("64Mi", "64M", false),
            ("5m", "6m", false),
            ("x", "y", false),
        ] {
            assert_eq!(covers(&json!({"cpu": one}), &json!({"cpu": other})), same, "{one} {other}");
        }
        assert!(!covers(&json!({"name": "1000m"}), &json!({"name": "1"})));
    }

    #[test]
    fn shape_depends_on_fields_and_not_on_values() {
        let shape_of = |value: Value| shape(&value);
        assert_eq!(shape_of(json!({"data": {"a": "secret"}})), shape_of(json!({"data": {"a": "other"}})));
        assert_ne!(
            shape_of(json!({"data": {"a": "1"}})),
            shape_of(json!({"data": {"a": "1", "ca.crt": "2"}}))
        );
        assert_ne!(shape_of(json!([{"a": 1}])), shape_of(json!([{"b": 1}])));
        assert_ne!(shape_of(json!([1])), shape_of(json!([1, 2])));
        assert_ne!(
            shape_of(json!({"data": {"a": "1"}, "b": 1})),
            shape_of(json!({"data": {"a": "1", "b": 1}}))
        );
    }
}
