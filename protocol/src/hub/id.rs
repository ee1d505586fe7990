//! Identifiers that Azure limits: device ids, registration ids and id scopes (ref §3.3). Pure.

use serde::{Deserialize, Serialize};

/// Longest device, module or registration id, in characters (ref §3.3).
pub const MAX_LENGTH: usize = 128;

/// Punctuation that a hub accepts in a device or module id besides ASCII letters and digits (ref §3.3).
pub const DEVICE_ID_PUNCTUATION: &str = "-:.+%_#*?!(),=@;$'";

/// Punctuation that DPS accepts in a registration id besides ASCII letters and digits (ref §3.3).
pub const REGISTRATION_ID_PUNCTUATION: &str = "-._:";

/// Error of a text that is not an identifier.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// The text is empty.
    #[error("{kind} is empty")]
    Empty {
        /// Kind of the identifier.
        kind: &'static str,
    },
    /// More than [`MAX_LENGTH`] characters.
    #[error("{kind} has {length} characters, the limit is {MAX_LENGTH}")]
    TooLong {
        /// Kind of the identifier.
        kind: &'static str,
        /// Number of characters.
        length: usize,
    },
    /// The text has a character that Azure does not accept.
    #[error("{kind} must not contain {character:?}; allowed are ASCII letters{}", digits_and(allowed))]
    Character {
        /// Kind of the identifier.
        kind: &'static str,
        /// The first refused character.
        character: char,
        /// The punctuation that is allowed.
        allowed: &'static str,
    },
    /// The text does not end with a letter, a digit or `-`.
    #[error("{kind} must end with a letter, a digit or '-'")]
    LastCharacter {
        /// Kind of the identifier.
        kind: &'static str,
    },
}

fn digits_and(punctuation: &str) -> String {
    if punctuation.is_empty() { " and digits".to_owned() } else { format!(", digits and {punctuation}") }
}

fn check(kind: &'static str, text: &str, allowed: &'static str) -> Result<(), IdError> {
    let length = text.chars().count();
    if length == 0 {
        return Err(IdError::Empty { kind });
    }
    if length > MAX_LENGTH {
        return Err(IdError::TooLong { kind, length });
    }
    match text.chars().find(|&c| !c.is_ascii_alphanumeric() && !allowed.contains(c)) {
        Some(character) => Err(IdError::Character { kind, character, allowed }),
        None => Ok(()),
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Validates an id. The text stays unchanged, including its case.
            ///
            /// # Errors
            /// [`IdError`] names the part that Azure does not accept.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let check: fn(&str) -> Result<(), IdError> = $check;
                check(&text).map(|()| Self(text))
            }

            /// Returns the unchanged text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

identifier!(
    /// Id of a device at a hub: case-sensitive, at most 128 characters (ref §3.3).
    DeviceId,
    |text| check("device id", text, DEVICE_ID_PUNCTUATION)
);

identifier!(
    /// Id of a device's module, with the grammar of a device id (ref §3.3).
    ModuleId,
    |text| check("module id", text, DEVICE_ID_PUNCTUATION)
);

identifier!(
    /// Id of a device at DPS. DPS ignores case when it compares ids, but keys and tokens are computed over the exact
    /// text (ref §0.3 rule 10, §3.3).
    RegistrationId,
    |text| {
        check("registration id", text, REGISTRATION_ID_PUNCTUATION)?;
        if text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-') {
            Ok(())
        } else {
            Err(IdError::LastCharacter { kind: "registration id" })
        }
    }
);

identifier!(
    /// Id scope of a DPS instance, `0ne` and hexadecimal digits; case-sensitive (ref §3.3).
    IdScope,
    |text| check("id scope", text, "")
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn device_ids_take_the_hubs_punctuation() {
        let odd = "a'b(c)!d*e@f$g#h%i+j,k=l?m:n._-";
        assert_eq!(DeviceId::new(odd).unwrap().as_str(), odd);
        assert!(DeviceId::new("a".repeat(128)).is_ok());
        assert_eq!(DeviceId::new("a".repeat(129)), Err(IdError::TooLong { kind: "device id", length: 129 }));
        assert_eq!(DeviceId::new(""), Err(IdError::Empty { kind: "device id" }));
        for refused in ["a/b", "a b", "ä", "a&b", "a\n"] {
            assert!(matches!(DeviceId::new(refused), Err(IdError::Character { .. })), "{refused:?}");
        }
    }

    #[test]
    fn registration_ids_are_narrower() {
        for good in ["dev-01", "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6", "sensor:line3_a.7", "a-"] {
            assert!(RegistrationId::new(good).is_ok(), "{good}");
        }
        for bad in ["a.", "a:", "a_", "a+b", "a@b"] {
            assert!(RegistrationId::new(bad).is_err(), "{bad}");
        }
        let (a, b) = (RegistrationId::new("Dev-01").unwrap(), RegistrationId::new("dev-01").unwrap());
        assert_ne!(a, b, "the key is derived from the exact text");
    }

    #[test]
    fn refused_character_is_named_with_the_allowed_ones() {
        let error = IdScope::new("0ne.1").unwrap_err().to_string();
        assert_eq!(error, "id scope must not contain '.'; allowed are ASCII letters and digits");
        let error = RegistrationId::new("a+b").unwrap_err().to_string();
        assert_eq!(error, "registration id must not contain '+'; allowed are ASCII letters, digits and -._:");
    }

    proptest! {
        #[test]
        fn accepted_id_stays_unchanged(text in "\\PC{0,140}") {
            if let Ok(id) = DeviceId::new(text.clone()) {
                prop_assert_eq!(id.as_str(), text.as_str());
                prop_assert!(text.len() <= MAX_LENGTH && !text.contains('/') && !text.contains(' '));
            }
            if RegistrationId::new(text.clone()).is_ok() {
                prop_assert!(DeviceId::new(text).is_ok());
            }
        }
    }
}
