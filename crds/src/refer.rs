//! References to Secrets and ConfigMaps, always in the object's own namespace. Pure.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A Secret in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(schema_with = "object_name")]
    pub name: String,
}

/// One key of a Secret or ConfigMap in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyReference {
    /// Name of the Secret or ConfigMap.
    #[schemars(schema_with = "object_name")]
    pub name: String,
    /// The key in its data.
    #[schemars(schema_with = "data_key")]
    pub key: String,
}

/// Certificates in PEM that are trusted besides the public roots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.secretKeyRef) != has(self.configMapKeyRef)",
    "message": "set exactly one of secretKeyRef and configMapKeyRef"
}]))]
pub struct TrustedCa {
    /// They are in a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyReference>,
    /// They are in a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyReference>,
}

/// A name that an object of Kubernetes can have: any other would wait for ever for something that cannot come.
pub(crate) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 253,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
            "message": "no object in Kubernetes can have this name: use small letters, digits, - and ., with a letter or a digit at both ends of every part, such as plant-a"
        }]
    })
}

/// A key that the data of a Secret or a ConfigMap can have.
fn data_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 253,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",
            "message": "no Secret or ConfigMap can have this key: use letters, digits, - _ and ., such as ca.crt"
        }]
    })
}
