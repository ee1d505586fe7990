//! Reads a YAML text into a value, or returns all problems of its shape. Pure.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::document::error_text;
use crate::document::position::Position;
use crate::document::problem::Problem;
use crate::document::substitute::{self, Disclosure, Substitute};

/// Error of a document.
#[derive(Debug)]
pub struct DocumentError<T> {
    /// Problems; they have positions unless the text is not YAML.
    pub problems: Vec<Problem>,
    /// Document with substitutes in place of all invalid values, for further validation.
    pub corrected: Option<T>,
}

/// Reads a document.
///
/// # Errors
/// [`DocumentError`] with all problems of its shape, or with the first one if the text is not YAML.
pub fn read<T: DeserializeOwned>(
    text: &str,
    substitute: Substitute,
    disclosure: Disclosure,
) -> Result<T, DocumentError<T>> {
    let first = match serde_saphyr::from_str::<T>(text) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let of = |field: String, error: &serde_saphyr::Error| {
        let position = error.location().and_then(Position::of);
        DocumentError {
            problems: vec![Problem { position, ..Problem::new(field, error_text::of_yaml(error)) }],
            corrected: None,
        }
    };
    let mut field = String::new();
    // `on` and `yes` are texts, not booleans.
    let options = serde_saphyr::options! { strict_booleans: true };
    let value = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            field = substitute::path(error.path());
            error.into_inner()
        })
    });
    let (corrected, problems) = match value {
        Ok(value @ Value::Object(_)) => substitute::read(value, substitute, disclosure),
        Ok(Value::Null) => (None, vec![Problem::new("", error_text::EMPTY)]),
        Ok(_) => (None, vec![Problem::new("", error_text::NO_FIELDS)]),
        Err(error) => return Err(of(field, &error)),
    };
    if problems.is_empty() {
        Err(of(String::new(), &first))
    } else {
        Err(DocumentError { problems, corrected })
    }
}
