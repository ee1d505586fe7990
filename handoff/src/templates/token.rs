//! A template's text, cut at its bars: what is copied unchanged, and what is between two bars. Pure.

use crate::templates::problem::ErrorAt;

/// Token of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Text without variables.
    Text(&'a str),
    /// Literal bar, written as two.
    Bar,
    /// Text between two bars, without surrounding blanks.
    Tag(&'a str),
}

/// Token with its position in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed<'a> {
    pub(super) at: usize,
    pub(super) token: Token<'a>,
}

/// Cuts a text. Two bars without anything between them are a bar itself, which the reference leaves open
/// (UNCONFIRMED); a tag ends on the line on which it begins.
pub(super) fn cut(text: &str) -> Result<Vec<Placed<'_>>, ErrorAt> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (token, length) = match rest.strip_prefix('|') {
            None => {
                let length = rest.find('|').unwrap_or(rest.len());
                (Token::Text(rest.get(..length).unwrap_or(rest)), length)
            }
            Some(tag) => match tag.find(['|', '\n']) {
                Some(0) if tag.starts_with('|') => (Token::Bar, 2),
                Some(length) if !tag[length..].starts_with('\n') => {
                    (Token::Tag(tag[..length].trim()), length + 2)
                }
                _ => {
                    let message =
                        "this | has no partner on its line: write |VARIABLE|, or || for a bar itself";
                    return Err(ErrorAt::new(at, message));
                }
            },
        };
        tokens.push(Placed { at, token });
        at += length;
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
        cut(text).unwrap().into_iter().map(|placed| (placed.at, placed.token)).collect()
    }

    #[test]
    fn bars_cut_a_text() {
        use Token::{Bar, Tag, Text};
        assert_eq!(
            tokens("a |B|| C |d||"),
            [(0, Text("a ")), (2, Tag("B")), (5, Tag("C")), (10, Text("d")), (11, Bar)]
        );
        assert_eq!(tokens(""), []);
        assert_eq!(tokens("||||"), [(0, Bar), (2, Bar)]);
        assert_eq!(cut("x\n|a\n|").unwrap_err().at, 2);
        assert_eq!(cut("|").unwrap_err().at, 0);
        assert_eq!(cut("|\n|").unwrap_err().at, 0);
    }

    proptest! {
        #[test]
        fn tokens_cover_the_whole_text(text in "[|a\u{e9}\n]{0,24}") {
            if let Ok(tokens) = cut(&text) {
                let whole: usize = tokens.iter().map(|placed| match placed.token {
                    Token::Text(text) => text.len(),
                    Token::Bar => 2,
                    Token::Tag(tag) => tag.len() + 2,
                }).sum();
                prop_assert_eq!(whole, text.len());
            }
        }
    }
}
