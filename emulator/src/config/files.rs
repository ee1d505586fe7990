//! Values that are in the configuration or in files beside it, so that a chart can keep them in a Secret. Touches disk.

use std::path::Path;

use lanyard_protocol::text;
use zeroize::Zeroizing;

use super::problems::Problems;

/// Directory of files; none for values from the network.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a>(pub Option<&'a Path>);

/// Result of a lookup.
pub enum Found {
    /// The field that contains it, and the value.
    Value(String, Zeroizing<String>),
    /// Neither here nor in a file.
    Missing,
    /// In both, or in a file that cannot be read; a problem is noted.
    Wrong,
}

impl Files<'_> {
    /// Reads the text of `field.name`, or of the file named in `field.nameFile`.
    pub fn text(
        self,
        value: Option<&Zeroizing<String>>,
        file: Option<&str>,
        field: &str,
        name: &str,
        problems: &mut Problems,
    ) -> Found {
        let file = match (value, file) {
            (None, None) => return Found::Missing,
            (Some(_), Some(_)) => {
                let message = format!("is set together with {name}File: keep one of them");
                problems.note(format!("{field}.{name}"), message);
                return Found::Wrong;
            }
            (Some(value), None) => return Found::Value(format!("{field}.{name}"), value.clone()),
            (None, Some(file)) => file,
        };
        let field = format!("{field}.{name}File");
        let Some(dir) = self.0 else {
            problems.note(field, format!("files are read at the start only: give {name}"));
            return Found::Wrong;
        };
        let path = dir.join(file);
        let read = std::fs::read(&path).map(Zeroizing::new).map_err(|error| error.to_string());
        let text = read.and_then(|bytes| {
            text::decode(&bytes)
                .map(|text| Zeroizing::new(text.to_owned()))
                .map_err(|error| error.to_string())
        });
        match text {
            Ok(text) => Found::Value(field, text),
            Err(error) => {
                problems.note(field, format!("cannot read {}: {error}", path.display()));
                Found::Wrong
            }
        }
    }
}
