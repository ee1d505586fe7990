//! A device's key from its group's, for people with a shell: what Microsoft's `dps-keygen` does. Reads a file or standard input.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use lanyard_protocol::hub::id::{IdError, RegistrationId};
use lanyard_protocol::hub::key::{KeyError, SymmetricKey};
use zeroize::Zeroizing;

use crate::arguments::DeriveKey;

/// More than any key has; a wrong file is not read to its end.
const MAX_BYTES: u64 = 4096;

/// Error of deriving a key. No variant contains a part of a key.
#[derive(Debug, thiserror::Error)]
pub enum DeriveKeyError {
    /// The file cannot be read.
    #[error("--group-key-file {}: cannot read it ({source}): name a file that holds the group's key, or - for \
        standard input", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Cause of the failure.
        source: std::io::Error,
    },
    /// Standard input cannot be read.
    #[error("cannot read the group's key from standard input: {0}")]
    Input(#[source] std::io::Error),
    /// The text is empty.
    #[error("{from} is empty: it must hold the enrollment group's primary or secondary key, in base64")]
    Empty {
        /// Source of the key.
        from: String,
    },
    /// The text is not a key.
    #[error("{from}: {source}")]
    Key {
        /// Source of the key.
        from: String,
        /// Error of the key.
        source: KeyError,
    },
    /// DPS registers no such id.
    #[error("--device-id {id:?}: {source}")]
    Id {
        /// The id.
        id: String,
        /// Error of the id.
        source: IdError,
    },
    /// The keys cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] std::io::Error),
}

/// Writes the keys: one alone, several with their ids before them.
///
/// # Errors
/// [`DeriveKeyError`]
pub fn run(arguments: &DeriveKey) -> Result<(), DeriveKeyError> {
    let ids = ids(&arguments.device_ids)?;
    let group = match arguments.group_key_file.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => parse(&read_file(path)?, &format!("--group-key-file {}", path.display()))?,
        None => parse(&read_input()?, "standard input")?,
    };
    let text = derived(&group, &ids);
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(DeriveKeyError::Output)
}

fn ids(texts: &[String]) -> Result<Vec<RegistrationId>, DeriveKeyError> {
    let id = |text: &String| {
        RegistrationId::new(text.as_str()).map_err(|source| DeriveKeyError::Id { id: text.clone(), source })
    };
    texts.iter().map(id).collect()
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, DeriveKeyError> {
    let failed = |source| DeriveKeyError::File { path: path.to_owned(), source };
    let mut bytes = Zeroizing::new(Vec::new());
    std::fs::File::open(path).map_err(failed)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Reads the group key from standard input: a person ends it with Enter, a pipe with its end.
fn read_input() -> Result<Zeroizing<Vec<u8>>, DeriveKeyError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let mut input = std::io::stdin().lock();
    let read = if input.is_terminal() {
        // To standard error, so that the output is the key alone.
        let _ =
            std::io::stderr().write_all(b"Group key (primary or secondary key of the enrollment group): ");
        input.read_until(b'\n', &mut bytes)
    } else {
        input.take(MAX_BYTES).read_to_end(&mut bytes)
    };
    read.map_err(DeriveKeyError::Input)?;
    Ok(bytes)
}

fn parse(bytes: &[u8], from: &str) -> Result<SymmetricKey, DeriveKeyError> {
    let from = from.to_owned();
    if bytes.trim_ascii().is_empty() {
        return Err(DeriveKeyError::Empty { from });
    }
    SymmetricKey::read(bytes).map_err(|source| DeriveKeyError::Key { from, source })
}

fn derived(group: &SymmetricKey, ids: &[RegistrationId]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for id in ids {
        let key = group.derive(id.as_str()).to_base64();
        if ids.len() > 1 {
            text.push_str(id.as_str());
            text.push(',');
        }
        text.push_str(&key);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const K64: &str =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

    /// Reference, derivation vectors 3 to 5.
    #[test]
    fn single_key_and_several_keys_with_ids_are_printed() {
        let key = parse(format!("{K64}\n").as_bytes(), "x").unwrap();
        let output = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            derived(&key, &ids(&texts).unwrap()).to_string()
        };
        assert_eq!(output(&["dev-01"]), "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE=\n");
        assert_eq!(
            output(&["DEV-01", "sensor:line3_a.7"]),
            "DEV-01,ckwTMj5xUtrcfx2iwbXf3lc07Ih0UYeaxaM3h52doqA=\nsensor:line3_a.7,aapYnrjcHOEz9dza5mBFw2t3uo9/xLJcNhOz1lptp9c=\n"
        );
    }

    #[test]
    fn errors_name_the_place_and_no_key() {
        let message = |text: &str| parse(text.as_bytes(), "standard input").unwrap_err().to_string();
        assert!(message(" \n").contains("standard input is empty"));
        for wrong in [&K64[1..], "AAEC", "primaryKey: x"] {
            let message = message(wrong);
            assert!(message.starts_with("standard input: the key") && !message.contains("AAEC"), "{message}");
        }
        let message = ids(&["bad id".to_owned()]).unwrap_err().to_string();
        assert!(
            message.starts_with("--device-id \"bad id\": registration id must not contain ' '"),
            "{message}"
        );
        let message = read_file(Path::new("/nowhere/key")).unwrap_err().to_string();
        assert!(message.contains("/nowhere/key: cannot read it"), "{message}");
    }
}
