//! The language rules: openings of documentation, words that are not used, test names, lengths. Reads the tracked files.

use crate::tracked::{files, text};
use crate::violation::Violation;

/// Words that make a clause of a doc comment's first sentence; rustdoc's convention is a noun phrase or a verb.
const OPENINGS: [&str; 14] = [
    "What", "Who", "Whose", "Whom", "Whether", "How", "Why", "It", "They", "Where", "Which", "When", "That",
    "This",
];

/// Words and phrases for which plain technical English has a plainer one.
const BANNED: [&str; 12] = [
    "nobody",
    "somebody",
    "anew",
    "of before",
    "without a word",
    "minded",
    "owed",
    "of old",
    "at all events",
    "in vain",
    "riddle",
    "quarrel",
];

/// First words of a test's name that hide its subject.
const TEST_OPENINGS: [&str; 13] = [
    "what", "who", "where", "of", "one", "how", "why", "whether", "it", "they", "nobody", "somebody", "when",
];

const LONGEST_LINE: usize = 140;
const LONGEST_WORD: usize = 60;
const LONGEST_TEST_NAME: usize = 60;

/// Files that are not checked: this one lists the words, and the others contain texts of other projects or machines.
const EXEMPT: [&str; 4] = ["tests/check/rules/src/language.rs", "Cargo.lock", "LICENSE", "go.sum"];

pub(crate) fn violations() -> Result<Vec<Violation>, String> {
    let mut violations = Vec::new();
    for path in files()? {
        if EXEMPT.iter().any(|exempt| path.ends_with(exempt)) {
            continue;
        }
        let Some(text) = text(&path)? else { continue };
        violations.extend(
            faults(&path, &text)
                .into_iter()
                .map(|(line, fault)| Violation::new(format!("{path}:{line}"), fault)),
        );
    }
    Ok(violations)
}

/// Returns the numbers of the lines that break a rule, with the reason.
fn faults(path: &str, text: &str) -> Vec<(usize, String)> {
    let rust = path.ends_with(".rs");
    let mut faults = Vec::new();
    let mut before = Line::Code;
    let mut test = false;
    // The first line of the documentation of the next item, and its first word.
    let mut opening = None;
    let mut fault = |number: usize, text: String| faults.push((number, text));
    for (number, line) in (1..).zip(text.lines()) {
        for phrase in banned(line) {
            fault(number, format!("{phrase:?} is not used here; name the subject"));
        }
        if !rust {
            continue;
        }
        if columns(line) > LONGEST_LINE {
            fault(number, format!("longer than {LONGEST_LINE} columns"));
        }
        let (kind, documentation) = Line::of(line);
        if kind.is_documentation()
            && kind != before
            && let Some(word) = OPENINGS.iter().find(|word| first_word(documentation) == **word)
        {
            fault(number, format!("documentation opens with {word:?}; begin with a noun or a verb"));
        }
        if kind == Line::Outer && kind != before {
            opening = Some((number, first_word(documentation)));
        }
        before = kind;
        test |= line.trim_start().starts_with("#[test]") || line.trim_start().starts_with("#[tokio::test");
        let function = function(line);
        if function.is_some()
            && !test
            && let Some((line, word)) = opening
            && !(is_verb(word) || path.starts_with("tests/") && word == "Ref")
        {
            fault(
                line,
                format!("documentation of a function opens with {word:?}; begin with a verb, as in Returns"),
            );
        }
        // Attributes are between the documentation and its item.
        if kind == Line::Code && !is_attribute(line) {
            opening = None;
        }
        if test && let Some(name) = function {
            test = false;
            if TEST_OPENINGS.contains(&name.split('_').next().unwrap_or_default()) {
                fault(number, format!("test {name}: begin with the subject"));
            }
            if name.chars().count() > LONGEST_TEST_NAME {
                fault(number, format!("test {name}: longer than {LONGEST_TEST_NAME} characters"));
            }
        }
    }
    faults
}

/// Returns the length of a line. A longer word counts as [`LONGEST_WORD`]: published tokens and certificates stay whole.
fn columns(line: &str) -> usize {
    let longest = line.split(' ').map(|word| word.chars().count()).max().unwrap_or_default();
    line.chars().count() - longest.saturating_sub(LONGEST_WORD)
}

/// A line's kind; the lines of one kind that follow one another are one block of documentation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Inner,
    Outer,
    Code,
}

impl Line {
    fn of(line: &str) -> (Self, &str) {
        let line = line.trim_start();
        if let Some(documentation) = line.strip_prefix("//!") {
            (Self::Inner, documentation)
        } else if let Some(documentation) = line.strip_prefix("///")
            && !documentation.starts_with('/')
        {
            (Self::Outer, documentation)
        } else {
            (Self::Code, "")
        }
    }

    fn is_documentation(self) -> bool {
        self != Self::Code
    }
}

/// Returns whether a word can be a verb in the third person.
fn is_verb(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && word.ends_with('s')
}

/// Returns whether a line belongs to an attribute; the lines of a long one are indented or close it.
fn is_attribute(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[") || line.starts_with(")]")
}

fn first_word(text: &str) -> &str {
    text.trim_start().split(|c: char| !c.is_alphabetic()).next().unwrap_or_default()
}

fn banned(line: &str) -> impl Iterator<Item = &'static str> {
    let line = line.to_lowercase();
    BANNED.into_iter().filter(move |phrase| {
        line.match_indices(phrase).any(|(start, found)| {
            let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            !word(line[..start].chars().next_back()) && !word(line[start + found.len()..].chars().next())
        })
    })
}

/// Returns the name of the function whose signature begins on the line.
fn function(line: &str) -> Option<&str> {
    let mut line = line.trim_start();
    for modifier in ["pub ", "pub(crate) ", "pub(super) ", "const ", "async "] {
        line = line.strip_prefix(modifier).unwrap_or(line);
    }
    line.strip_prefix("fn ")?.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        faults(path, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn documentation_that_opens_with_a_clause_is_found() {
        let text = "//! What a file is.\n\n/// A type.\n/// What continues is free.\nstruct A;\n/// Whether it \
            is.\n/// It is.\nstruct B;\n";
        assert_eq!(lines("a.rs", text), [1, 6]);
        assert_eq!(
            lines("a.rs", "/// Items of a list.\n/// Whatsoever\n//// What\n// What\nconst A: u8 = 0;\n"),
            [0; 0]
        );
    }

    #[test]
    fn documentation_of_a_function_begins_with_a_verb() {
        let text = "/// The size.\n#[must_use]\npub(crate) const fn a() {}\n/// Returns the size.\nfn b() {}\n/// The \
            size.\nconst A: u8 = 0;\nfn c() {}\n/// Context.\n#[test]\nfn size_is_right() {}\n";
        assert_eq!(lines("a.rs", text), [1]);
        let text = "/// Ref §1.9.\npub(crate) fn a() {}\n";
        assert_eq!((lines("src/a.rs", text), lines("tests/sdk/a.rs", text)), (vec![1], vec![]));
    }

    #[test]
    fn banned_words_are_found_whole_and_in_every_file() {
        assert_eq!(lines("a.md", "Nobody reads\nnobodys\nborrowed\nowed.\nout of\nbefore"), [1, 4]);
        assert_eq!(lines("a.rs", "let a = \"the keys of before\";"), [1]);
    }

    #[test]
    fn test_names_begin_with_their_subject() {
        let text = "#[test]\nfn what_it_is() {}\n#[tokio::test(start_paused = true)]\nasync fn token_renews() \
            {}\nfn what_no_test_is() {}\n";
        assert_eq!(lines("a.rs", text), [2]);
        let long = format!("#[test]\n#[ignore]\nfn {}() {{}}\n", "a".repeat(61));
        assert_eq!(lines("a.rs", &long), [3]);
    }

    #[test]
    fn long_lines_are_found_in_rust_only() {
        let long = "x ".repeat(71);
        assert_eq!(lines("a.rs", &long), [1]);
        assert_eq!(lines("a.rs", &"x".repeat(1000)), [0; 0], "one word");
        assert_eq!(lines("a.md", &long), [0; 0]);
    }
}
