//! Keys of the configuration, written in it or in files beside it, so that a chart can keep them in a Secret. Touches
//! disk.

use std::path::Path;

use lanyard_protocol::hub::key::SymmetricKey;
use zeroize::Zeroizing;

use super::document;
use super::mistakes::Mistakes;
use crate::hub::device::Keys;

/// Reads both keys; the secondary one may be missing.
pub fn keys(
    entry: Option<&document::SymmetricKey>,
    field: &str,
    dir: &Path,
    mistakes: &mut Mistakes,
) -> Option<Keys> {
    let Some(entry) = entry else {
        mistakes.note(format!("{field}.symmetricKey"), "is missing: give primaryKey or primaryKeyFile");
        return None;
    };
    let field = format!("{field}.symmetricKey");
    let primary = one(
        entry.primary_key.as_ref(),
        entry.primary_key_file.as_deref(),
        &field,
        "primaryKey",
        dir,
        mistakes,
    );
    let secondary = one(
        entry.secondary_key.as_ref(),
        entry.secondary_key_file.as_deref(),
        &field,
        "secondaryKey",
        dir,
        mistakes,
    );
    if let Found::Missing = primary {
        mistakes.note(format!("{field}.primaryKey"), "is missing: give it, or primaryKeyFile");
    }
    match (primary, secondary) {
        (Found::Key(primary), Found::Key(secondary)) => Some(Keys { primary, secondary: Some(secondary) }),
        (Found::Key(primary), Found::Missing) => Some(Keys { primary, secondary: None }),
        _ => None,
    }
}

enum Found {
    Key(SymmetricKey),
    Missing,
    Wrong,
}

fn one(
    text: Option<&Zeroizing<String>>,
    file: Option<&str>,
    field: &str,
    name: &str,
    dir: &Path,
    mistakes: &mut Mistakes,
) -> Found {
    let (field, text) = match (text, file) {
        (None, None) => return Found::Missing,
        (Some(_), Some(_)) => {
            mistakes.note(format!("{field}.{name}"), format!("stands beside {name}File: keep one of them"));
            return Found::Wrong;
        }
        (Some(text), None) => (format!("{field}.{name}"), text.clone()),
        (None, Some(file)) => {
            let path = dir.join(file);
            let field = format!("{field}.{name}File");
            match std::fs::read_to_string(&path) {
                Ok(text) => (field, Zeroizing::new(text)),
                Err(error) => {
                    mistakes.note(field, format!("cannot read {}: {error}", path.display()));
                    return Found::Wrong;
                }
            }
        }
    };
    match mistakes.take(field, SymmetricKey::from_base64(&text)) {
        Some(key) => Found::Key(key),
        None => Found::Wrong,
    }
}
