//! Texts of a template, as documents contain them. Pure.

use serde::{Deserialize, Serialize};

/// A template's texts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateTexts {
    /// The whole body, with variables between bars. Exactly one of `advanced` and `standard` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advanced: Option<String>,
    /// The body's fields, one a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard: Option<StandardTexts>,
}

/// A body by its fields, one a line: `key: |VARIABLE|` or `key: text`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StandardTexts {
    /// Fields of the message; one of them is `|VALUES|`.
    pub message: String,
    /// Fields of each event in `|VALUES|`.
    pub values: String,
}
