//! Keys of the configuration. Touches disk for key files only.

use lanyard_protocol::hub::key::SymmetricKey;

use super::document;
use super::files::{Files, Found};
use super::problems::Problems;
use crate::registry::authentication::Keys;

/// Reads both keys; the secondary one may be missing.
pub fn keys(
    entry: Option<&document::SymmetricKey>,
    field: &str,
    files: Files<'_>,
    problems: &mut Problems,
) -> Option<Keys> {
    let Some(entry) = entry else {
        problems.note(format!("{field}.symmetricKey"), "is missing: give primaryKey or primaryKeyFile");
        return None;
    };
    let field = format!("{field}.symmetricKey");
    let (text, file) = (entry.primary_key.as_ref(), entry.primary_key_file.as_deref());
    let primary = files.text(text, file, &field, "primaryKey", problems);
    let (text, file) = (entry.secondary_key.as_ref(), entry.secondary_key_file.as_deref());
    let secondary = files.text(text, file, &field, "secondaryKey", problems);
    if let Found::Missing = primary {
        problems.note(format!("{field}.primaryKey"), "is missing: give it, or primaryKeyFile");
    }
    let mut key = |found: Found| match found {
        Found::Value(field, text) => problems.take(field, SymmetricKey::from_base64(&text)).map(Some),
        Found::Missing => Some(None),
        Found::Wrong => None,
    };
    let (primary, secondary) = (key(primary), key(secondary));
    Some(Keys { primary: primary??, secondary: secondary? })
}
