//! Excerpts of long texts. Pure.

/// Returns the beginning of a device's text for logs and lists; the text may have 64 KiB.
#[must_use]
pub fn excerpt(text: &str) -> String {
    const LONGEST: usize = 400;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"ä".repeat(400)), "ä".repeat(400));
        assert_eq!(excerpt(&"ä".repeat(401)), format!("{}…", "ä".repeat(400)));
    }
}
