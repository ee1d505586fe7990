//! CustomResourceDefinitions from the types, and the text of their manifests. Pure.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{IoTDevice, ProvisioningGroup};

/// First line of every generated file.
const HEADER: &str = "# Generated from crds/src by `make generate`; do not edit.\n";

/// Returns both definitions, in the order in which they are applied.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![finish(ProvisioningGroup::crd()), finish(IoTDevice::crd())]
}

/// Returns the file names and texts of the manifests.
#[must_use]
pub fn manifests() -> Vec<(String, String)> {
    definitions()
        .into_iter()
        .map(|definition| {
            let name = format!("{}.yaml", definition.spec.names.plural);
            let mut value = serde_json::to_value(&definition).expect("a definition has string keys only");
            plain_numbers(&mut value);
            let yaml = serde_saphyr::to_string(&value).expect("JSON values have a YAML form");
            (name, format!("{HEADER}{yaml}"))
        })
        .collect()
}

/// Adds rules and limits that the derive macro cannot express.
fn finish(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let schema = schema.expect("the derive macro writes a schema");
        let mut value = serde_json::to_value(&*schema).expect("a schema has string keys only");
        forbid_null(&mut value);
        // An object without a status must not seem current to a client that waits for it.
        value["properties"]["status"]["default"] = json!({"observedGeneration": -1});
        *schema = serde_json::from_value::<JSONSchemaProps>(value).expect("it was a schema before");
    }
    definition
}

/// Writes limits as integers, although the type of a schema has floating-point numbers.
fn plain_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(plain_numbers),
        Value::Array(items) => items.iter_mut().for_each(plain_numbers),
        Value::Number(number) => {
            let text = number.to_string();
            if let Some(whole) = text.strip_suffix(".0").and_then(|whole| whole.parse::<i64>().ok()) {
                *value = whole.into();
            }
        }
        _ => {}
    }
}

/// Removes `null` as a value, because rules with `has()` would accept it as set, and formats that Kubernetes does not
/// support.
fn forbid_null(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("nullable");
            if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                fields.remove("format");
            }
            fields.values_mut().for_each(forbid_null);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema_of(kind: &str) -> Value {
        let definition =
            definitions().into_iter().find(|definition| definition.spec.names.kind == kind).unwrap();
        serde_json::to_value(&definition.spec.versions[0].schema).unwrap()["openAPIV3Schema"].clone()
    }

    /// The API server estimates the cost of rules from these limits, and a user sees them before the server does.
    #[test]
    fn every_text_list_and_map_of_a_spec_has_a_limit() {
        for kind in ["IoTDevice", "ProvisioningGroup"] {
            let mut unlimited = Vec::new();
            find_unlimited(&schema_of(kind)["properties"]["spec"], "spec", &mut unlimited);
            // Kubernetes' own types: no rule looks into them, and the pod's own limits hold.
            let of_kubernetes = [".tolerations[].", ".agent.affinity.", ".topologySpreadConstraints[]."];
            unlimited.retain(|path| !of_kubernetes.iter().any(|part| path.contains(part)));
            assert_eq!(unlimited, Vec::<String>::new(), "{kind}");
        }
    }

    fn find_unlimited(schema: &Value, path: &str, found: &mut Vec<String>) {
        let has = |limit: &str| schema.get(limit).is_some();
        let limited = match schema["type"].as_str() {
            Some("string") => has("maxLength") || has("enum"),
            Some("array") => has("maxItems"),
            Some("object") => !has("additionalProperties") || has("maxProperties"),
            Some("integer") => has("maximum"),
            _ => true,
        };
        if !limited {
            found.push(path.to_owned());
        }
        find_unlimited_in(schema, path, found);
    }

    fn find_unlimited_in(schema: &Value, path: &str, found: &mut Vec<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            find_unlimited(field, &format!("{path}.{name}"), found);
        }
        for (name, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
            if let Some(inner) = schema.get(name) {
                find_unlimited(inner, &format!("{path}{suffix}"), found);
            }
        }
    }

    #[test]
    fn every_field_is_documented() {
        fn undocumented(schema: &Value, path: &str, found: &mut Vec<String>) {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                if field["description"].as_str().is_none_or(str::is_empty) {
                    found.push(path.clone());
                }
                undocumented(field, &path, found);
                undocumented(&field["items"], &path, found);
            }
        }
        for kind in ["IoTDevice", "ProvisioningGroup"] {
            let mut found = Vec::new();
            let schema = schema_of(kind);
            undocumented(&schema["properties"]["spec"], "spec", &mut found);
            undocumented(&schema["properties"]["status"], "status", &mut found);
            assert_eq!(found, Vec::<String>::new(), "{kind}");
        }
    }

    #[test]
    fn a_new_object_is_never_current() {
        for kind in ["IoTDevice", "ProvisioningGroup"] {
            let status = &schema_of(kind)["properties"]["status"];
            assert_eq!(status["default"], json!({"observedGeneration": -1}), "{kind}");
            assert_eq!(status["properties"]["observedGeneration"]["default"], json!(-1), "{kind}");
        }
    }
}
