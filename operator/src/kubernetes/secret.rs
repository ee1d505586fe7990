//! Data of a Secret, and the facts that decide its use. Pure.

use std::collections::BTreeMap;

use lanyard_protocol::text::without_mark;
use zeroize::Zeroizing;

/// The data of a Secret. Wiped when dropped; `Debug` shows its keys only.
#[derive(Clone, Default)]
pub struct SecretData(BTreeMap<String, Zeroizing<Vec<u8>>>, Marks);

impl SecretData {
    /// Returns the text under a key, without a byte order mark. Bytes that are not UTF-8 count as something wrong, not
    /// as missing.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<Zeroizing<String>> {
        let text = self.0.get(key).map(|bytes| String::from_utf8_lossy(bytes));
        text.map(|text| Zeroizing::new(without_mark(&text).to_owned()))
    }

    /// Returns the bytes under a key.
    #[must_use]
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(|bytes| bytes.as_slice())
    }

    /// Returns the facts that decide what the Secret may be used for.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        &self.1
    }

    /// Returns the same data with other marks.
    #[must_use]
    pub fn marked(self, marks: Marks) -> Self {
        Self(self.0, marks)
    }

    /// Returns the keys; never for a message about a Secret, which anyone who names it could read.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl FromIterator<(String, Vec<u8>)> for SecretData {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(items: I) -> Self {
        let data = items.into_iter().map(|(key, bytes)| (key, Zeroizing::new(bytes))).collect();
        Self(data, Marks::default())
    }
}

impl std::fmt::Debug for SecretData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SecretData").field(&self.keys()).finish()
    }
}

/// Facts outside a Secret's data that bear on its use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The use that the owner declares by type or label; unknown words are kept, because they are no consent either.
    pub declared: Option<String>,
    /// True if the type belongs to other software.
    pub foreign: bool,
    /// True if the operator made the Secret.
    pub made_by_operator: bool,
}
