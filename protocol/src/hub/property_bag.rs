//! Message properties in a topic: `k1=v1&k2=v2`, percent-encoded (ref §4.2, §5.1). Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};

/// Characters to encode: all but `A-Z a-z 0-9 - _ . ~`, in upper-case hexadecimal (ref appendix C).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Message id (ref §4.3); the same for a redelivered message.
pub const MESSAGE_ID: &str = "$.mid";
/// Content type of the body, such as `application/json` (ref §4.3).
pub const CONTENT_TYPE: &str = "$.ct";
/// Content encoding of the body, such as `utf-8` (ref §4.3).
pub const CONTENT_ENCODING: &str = "$.ce";

/// Encodes one key, value, host or resource in percent-encoding (ref appendix C).
#[must_use]
pub fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ENCODED)
}

/// Error of a text that is not a property bag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BagError {
    /// `%` is not followed by two hexadecimal digits.
    #[error("a '%' in the property bag is not followed by two hexadecimal digits")]
    Percent,
    /// The decoded bytes are not UTF-8.
    #[error("a property is not UTF-8 after percent-decoding")]
    Utf8,
    /// A property has no key.
    #[error("a property has no name")]
    EmptyKey,
}

/// Message properties in their original order. A repeated key replaces the earlier value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyBag(Vec<(String, Option<String>)>);

impl PropertyBag {
    /// Returns an empty bag.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a property; `None` is a key without `=` (ref §4.2).
    pub fn set(&mut self, key: impl Into<String>, value: Option<String>) {
        let key = key.into();
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((key, value)),
        }
    }

    /// Returns the value of `key`: outer `None` if the key is absent, inner `None` if it has no `=`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_deref())
    }

    /// Returns the properties in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// Reads the end of a topic. Ignores a leading `?` and a trailing `/`, accepts both key forms (`$.ct` and
    /// `%24.ct`), and reads `+` as a plus (ref §4.1, §4.2).
    ///
    /// # Errors
    /// [`BagError`] for an encoding that no hub accepts.
    pub fn parse(text: &str) -> Result<Self, BagError> {
        let text = text.strip_prefix('?').unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let mut bag = Self::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = match pair.split_once('=') {
                Some((key, value)) => (decode(key)?, Some(decode(value)?)),
                None => (decode(pair)?, None),
            };
            if key.is_empty() {
                return Err(BagError::EmptyKey);
            }
            bag.set(key, value);
        }
        Ok(bag)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for PropertyBag {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut bag = Self::new();
        for (key, value) in pairs {
            bag.set(key, Some(value.into()));
        }
        bag
    }
}

/// Writes the bag for a topic, with keys in the `%24.` form that every SDK reads (ref §5.1).
impl std::fmt::Display for PropertyBag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, (key, value)) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("&")?;
            }
            write!(f, "{}", encode(key))?;
            if let Some(value) = value {
                write!(f, "={}", encode(value))?;
            }
        }
        Ok(())
    }
}

fn decode(text: &str) -> Result<String, BagError> {
    let bytes = text.as_bytes();
    let complete = |&(at, _): &(usize, &u8)| {
        bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'%').all(|at| complete(&at)) {
        return Err(BagError::Percent);
    }
    percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| BagError::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ref §4.2, captured from Node.
    #[test]
    fn node_topic_is_read() {
        let bag = PropertyBag::parse(
            "%24.mid=id%201%2F%CE%B1&%24.cid=c%2B1&%24.ct=application%2Fjson&%24.ce=utf-8&z%20key=v%2F1%262&%24.sub=thermostat1&%24.sub=comp1",
        )
        .unwrap();
        let pairs: Vec<_> = bag.iter().collect();
        assert_eq!(
            pairs,
            [
                ("$.mid", Some("id 1/α")),
                ("$.cid", Some("c+1")),
                ("$.ct", Some("application/json")),
                ("$.ce", Some("utf-8")),
                ("z key", Some("v/1&2")),
                ("$.sub", Some("comp1")),
            ]
        );
    }

    /// Ref §4.2, captured from Python. Our encoder writes the same bytes.
    #[test]
    fn python_topic_is_written() {
        let bag: PropertyBag = [
            ("$.mid", "id 1/α"),
            ("$.ct", "application/json"),
            ("$.ce", "utf-8"),
            ("$.ifid", "urn:azureiot:Security:SecurityAgent:1"),
            ("n", "5"),
            ("z key", "v/1&2"),
        ]
        .into_iter()
        .collect();
        let text = "%24.mid=id%201%2F%CE%B1&%24.ct=application%2Fjson&%24.ce=utf-8&%24.ifid=urn%3Aazureiot%3ASecurity%3ASecurityAgent%3A1&n=5&z%20key=v%2F1%262";
        assert_eq!(bag.to_string(), text);
        assert_eq!(PropertyBag::parse(text).unwrap(), bag);
    }

    /// Ref §5.1: null, empty and plain values of a service-made bag.
    #[test]
    fn null_and_empty_differ() {
        let bag = PropertyBag::parse("prop1&prop2=&prop3=a%20string%2Bx&$.mid=m+1").unwrap();
        assert_eq!(bag.get("prop1"), Some(None));
        assert_eq!(bag.get("prop2"), Some(Some("")));
        assert_eq!(bag.get("prop3"), Some(Some("a string+x")));
        assert_eq!(bag.get(MESSAGE_ID), Some(Some("m+1")));
        assert_eq!(bag.get("prop4"), None);
        assert_eq!(PropertyBag::parse("?a=b/").unwrap().get("a"), Some(Some("b")));
    }

    #[test]
    fn wrong_encodings_are_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "%G0=1"] {
            assert_eq!(PropertyBag::parse(bad), Err(BagError::Percent), "{bad}");
        }
        assert_eq!(PropertyBag::parse("a=%FF"), Err(BagError::Utf8));
        assert_eq!(PropertyBag::parse("=1"), Err(BagError::EmptyKey));
    }

    /// Decodes a text as RFC 3986, section 2, defines it: unreserved characters stay unchanged, all others are encoded
    /// as bytes.
    fn read_elsewhere(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                b'-' | b'.' | b'_' | b'~' => byte,
                _ => {
                    assert!(byte.is_ascii_alphanumeric(), "{text}");
                    byte
                }
            });
        }
        String::from_utf8(bytes).unwrap()
    }

    proptest! {
        #[test]
        fn written_bag_is_read_back(pairs in prop::collection::vec(("\\PC{1,12}", proptest::option::of("\\PC{0,12}")), 0..6)) {
            let mut bag = PropertyBag::new();
            for (key, value) in pairs {
                bag.set(key, value);
            }
            let text = bag.to_string();
            let read = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
                Some((key, value)) => (read_elsewhere(key), Some(read_elsewhere(value))),
                None => (read_elsewhere(pair), None),
            });
            prop_assert_eq!(read.collect::<Vec<_>>(), bag.0.clone());
            prop_assert_eq!(PropertyBag::parse(&text).unwrap(), bag);
        }
    }
}
