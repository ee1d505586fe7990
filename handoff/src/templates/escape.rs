//! Escapes for texts inside JSON quotes. Pure.

/// Writes a text without its JSON quotes, as common JSON writers do: short escapes if they exist, `\u001f` for other
/// control characters, everything else unchanged in UTF-8.
pub fn text(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        escape(out, byte);
        rest = after;
    }
    out.extend_from_slice(rest);
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Makes the JSON in `out` from `start` on fit between quotes: removes the quotes of a text, and escapes quotes and
/// backslashes of other values.
pub(super) fn inside_quotes(out: &mut Vec<u8>, start: usize) {
    let Some(json) = out.get(start..) else { return };
    if json.first() == Some(&b'"') {
        out.pop();
        out.remove(start);
        return;
    }
    let more = json.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    if more == 0 {
        return;
    }
    let (mut from, mut to) = (out.len(), out.len() + more);
    out.resize(to, 0);
    // Moves the last byte first, so that no byte is overwritten before it is moved.
    while let Some(byte) = from.checked_sub(1).filter(|&at| at >= start).and_then(|at| out.get(at).copied()) {
        from -= 1;
        to -= 1;
        out[to] = byte;
        if matches!(byte, b'"' | b'\\') {
            to -= 1;
            out[to] = b'\\';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_escape_has_its_documented_form() {
        let mut out = Vec::new();
        text(&mut out, "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}\u{e9}\u{1f600}\u{2028}");
        let expected = "\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}\u{e9}\u{1f600}\u{2028}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn text_is_escaped_as_by_serde_json(value in "(\\PC|[\\x00-\\x1f\"\\\\]){0,24}") {
            let mut out = b"\"".to_vec();
            text(&mut out, &value);
            out.push(b'"');
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&value).unwrap());
        }

        #[test]
        fn json_fits_between_quotes(value in "(\\PC|[\"\\\\]){0,12}", list in any::<bool>()) {
            let json = if list { serde_json::json!([value, 1]).to_string() } else { serde_json::json!(value).to_string() };
            let mut out = b"x: \"".to_vec();
            out.extend_from_slice(json.as_bytes());
            inside_quotes(&mut out, 4);
            out.push(b'"');
            let read: String = serde_json::from_slice(&out[3..]).unwrap();
            prop_assert_eq!(read, if list { json } else { value });
        }
    }
}
