//! Text from files and Secrets. Pure.
//!
//! An error names the position of the problem and never repeats the text, which may be a secret.

pub mod pem;

use std::ops::Range;

/// Error of bytes that are not text. No variant contains any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// UTF-16, the default of some Windows tools.
    #[error("the text is UTF-16: save it as UTF-8 (PowerShell: Set-Content -Encoding utf8)")]
    Utf16,
    /// Binary data, or another encoding.
    #[error("the text is not UTF-8: save it as UTF-8 text, or store the right file")]
    NotUtf8,
}

/// Mark that Windows tools write before UTF-8 text.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// Bytes whose zeros show UTF-16 without a byte order mark.
const UTF16_PROBE: Range<usize> = 0..8;

/// Reads UTF-8 and removes a byte order mark.
///
/// # Errors
/// [`TextError`] names the encoding if it is known.
pub fn decode(bytes: &[u8]) -> Result<&str, TextError> {
    if is_utf16(bytes) {
        return Err(TextError::Utf16);
    }
    std::str::from_utf8(bytes).map(without_mark).map_err(|_| TextError::NotUtf8)
}

/// Removes the byte order mark.
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

fn is_utf16(bytes: &[u8]) -> bool {
    let probe = bytes.get(UTF16_PROBE).unwrap_or_default();
    // ASCII in UTF-16 has a zero as every second byte.
    let zeros = |from: usize| probe.iter().skip(from).step_by(2).all(|&byte| byte == 0);
    bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || !probe.is_empty() && zeros(0) != zeros(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, mark: bool) -> Vec<u8> {
        let mark = mark.then_some(0xfeff);
        mark.into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn byte_order_mark_is_no_part_of_the_text() {
        assert_eq!(decode("\u{feff}HostName=h".as_bytes()), Ok("HostName=h"));
        assert_eq!(decode(b"HostName=h\r\n"), Ok("HostName=h\r\n"));
        assert_eq!(decode(b""), Ok(""));
    }

    #[test]
    fn utf16_is_named_with_the_fix() {
        for mark in [true, false] {
            let little = utf16("HostName=h", mark);
            let big: Vec<u8> = little.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
            assert_eq!(decode(&little), Err(TextError::Utf16));
            assert_eq!(decode(&big), Err(TextError::Utf16));
        }
        assert_eq!(decode(&[0x30, 0x82, 0xff, 0x00]), Err(TextError::NotUtf8));
        // A private key as DER, with zeros among other bytes.
        assert_eq!(decode(&[0x30, 0x82, 0x04, 0xa3, 0x02, 0x01, 0x00, 0x02]), Err(TextError::NotUtf8));
        assert!(TextError::Utf16.to_string().contains("UTF-8"));
    }
}
