//! From a text in YAML to a value, or to everything that is wrong with its shape. Pure.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::mend::{self, StandIn, Words};
use super::place::Place;
use super::problem::Problem;
use super::words;

/// A text that is not what it should be.
#[derive(Debug)]
pub struct Misread<T> {
    /// What is wrong; the places are known where the text is no YAML.
    pub problems: Vec<Problem>,
    /// What it would be with stand-ins in the place of all mistakes, to look for mistakes of other kinds.
    pub mended: Option<T>,
}

/// Reads a document.
///
/// # Errors
/// [`Misread`], with every mistake of its shape, or the first one where it is no YAML.
pub fn read<T: DeserializeOwned>(text: &str, stand_in: StandIn, say: Words) -> Result<T, Misread<T>> {
    let first = match serde_saphyr::from_str::<T>(text) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let of = |field: String, error: &serde_saphyr::Error| {
        let place = error.location().and_then(Place::of);
        Misread {
            problems: vec![Problem { place, ..Problem::new(field, words::of_yaml(error)) }],
            mended: None,
        }
    };
    let mut field = String::new();
    // `on` and `yes` are what people wrote, and no booleans.
    let options = serde_saphyr::options! { strict_booleans: true };
    let value = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            field = mend::path(error.path());
            error.into_inner()
        })
    });
    let (mended, mistakes) = match value {
        Ok(value @ Value::Object(_)) => mend::read(value, stand_in, say),
        Ok(Value::Null) => (None, vec![Problem::new("", words::EMPTY)]),
        Ok(_) => (None, vec![Problem::new("", words::NO_FIELDS)]),
        Err(error) => return Err(of(field, &error)),
    };
    if mistakes.is_empty() {
        Err(of(String::new(), &first))
    } else {
        Err(Misread { problems: mistakes, mended })
    }
}
