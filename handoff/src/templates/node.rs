//! Nodes of a template: text, variables and conditions, around and inside its one loop. Pure.

use crate::templates::problem::ErrorAt;
use crate::templates::token::{Placed, Token, cut};

/// Variable of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    /// Time of the message, in milliseconds since 1970-01-01T00:00:00Z.
    ServerTimestamp,
    /// Time of the message as text, without quotes: `2017-02-27T20:29:40.000Z` (UNCONFIRMED).
    ServerDate,
    /// Name of the tag, escaped for JSON and without quotes.
    Name,
    /// Value as JSON. A text has quotes (UNCONFIRMED) unless the template has quotes around it.
    Value,
    /// `true` or `false`.
    Quality,
    /// Time of the reading, in milliseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// Time of the reading as text, like [`Variable::ServerDate`].
    Date,
    /// Number of the event in the message, from 0 (UNCONFIRMED).
    Index,
    /// True for the first event (UNCONFIRMED).
    First,
    /// True for the last event.
    Last,
}

/// Names of the variables. Both kinds of templates accept all names.
const WORDS: [(&str, Variable); 13] = [
    ("SERVERTIMESTAMP", Variable::ServerTimestamp),
    ("SERVERDATE", Variable::ServerDate),
    ("TAGNAME", Variable::Name),
    ("VALUE", Variable::Value),
    ("TAGVALUE", Variable::Value),
    ("QUALITY", Variable::Quality),
    ("TAGQUALITY", Variable::Quality),
    ("TIMESTAMP", Variable::Timestamp),
    ("TAGTIMESTAMP", Variable::Timestamp),
    ("DATE", Variable::Date),
    ("TAGDATE", Variable::Date),
    ("@index", Variable::Index),
    ("@first", Variable::First),
];

impl Variable {
    /// Returns the variable with this name; the error is the second half of a sentence.
    pub(super) fn named(word: &str) -> Result<Self, String> {
        if word == "@last" {
            return Ok(Self::Last);
        }
        let found = WORDS.iter().find(|(name, _)| *name == word).map(|(_, variable)| *variable);
        found.ok_or_else(|| {
            let distance = |name: &str| strsim::osa_distance(&name.to_lowercase(), &word.to_lowercase());
            let nearest = WORDS.iter().map(|(name, _)| *name).min_by_key(|name| distance(name));
            let near = nearest.filter(|name| distance(name) <= 2);
            let guess = near.map(|name| format!("did you mean |{name}|? ")).unwrap_or_default();
            format!("|{word}| is not a variable: {guess}use {USAGE}")
        })
    }

    /// Returns whether the variable needs an event.
    pub(super) const fn is_of_event(self) -> bool {
        !matches!(self, Self::ServerTimestamp | Self::ServerDate)
    }
}

const USAGE: &str = "|SERVERTIMESTAMP| or |SERVERDATE|, and between |#each VALUES| and |/each| \
                     |TAGNAME|, |VALUE|, |QUALITY|, |TIMESTAMP|, |DATE|, |@index|, |@first| or |@last|";

/// Test of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    First,
    Last,
    Good,
}

/// Part of a template, with its position in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text { at: usize, text: String },
    Put { at: usize, variable: Variable, quoted: bool },
    Choice { question: Test, yes: Vec<Node>, no: Vec<Node> },
}

/// Template, cut at its loop.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Outline {
    pub(super) head: Vec<Node>,
    pub(super) item: Vec<Node>,
    pub(super) tail: Vec<Node>,
}

/// Reads an advanced template.
pub(super) fn read(text: &str) -> Result<Outline, ErrorAt> {
    let tokens = cut(text)?;
    let mut reader = Reader { tokens: tokens.iter().peekable(), quotes: Quotes::default() };
    let head = reader.nodes(None, &[])?;
    let Some(each) = reader.tokens.next() else {
        let message = "the template has no place for events: write |#each VALUES| … |/each| around the text of one event";
        return Err(ErrorAt::new(0, message));
    };
    let item = reader.nodes(Some(each.at), &["/each"])?;
    if reader.tokens.next().is_none() {
        return Err(ErrorAt::new(each.at, "this |#each VALUES| has no |/each|: add it"));
    }
    let tail = reader.nodes(None, &[])?;
    match reader.tokens.next() {
        None => Ok(Outline { head, item, tail }),
        Some(again) => {
            Err(ErrorAt::new(again.at, "|#each VALUES| occurs twice: a message is one list of events"))
        }
    }
}

struct Reader<'a, 't> {
    tokens: std::iter::Peekable<std::slice::Iter<'t, Placed<'a>>>,
    quotes: Quotes,
}

impl Reader<'_, '_> {
    /// Reads the nodes before the next tag of `ends` or, outside of the loop, before the loop. `inside` is the position
    /// of the loop.
    fn nodes(&mut self, inside: Option<usize>, ends: &[&str]) -> Result<Vec<Node>, ErrorAt> {
        let mut nodes = Vec::new();
        while let Some(&&Placed { at, token }) = self.tokens.peek() {
            match token {
                Token::Text(text) => {
                    self.quotes.follow(text);
                    nodes.push(Node::Text { at, text: text.to_owned() });
                }
                Token::Bar => nodes.push(Node::Text { at, text: "|".to_owned() }),
                Token::Tag(tag) if ends.contains(&tag) => return Ok(nodes),
                Token::Tag(tag) => {
                    let (word, rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
                    match (word, rest.trim()) {
                        ("#each", "VALUES") if inside.is_none() => return Ok(nodes),
                        ("#if" | "#unless", question) => {
                            self.tokens.next();
                            nodes.push(self.choice(at, word, question, inside)?);
                            continue;
                        }
                        _ => nodes.push(self.put(at, tag, inside.is_some())?),
                    }
                }
            }
            self.tokens.next();
        }
        Ok(nodes)
    }

    fn put(&self, at: usize, tag: &str, inside: bool) -> Result<Node, ErrorAt> {
        let wrong = |message: &str| Err(ErrorAt::new(at, message));
        match tag {
            "#each VALUES" => return wrong("|#each VALUES| cannot be inside another one: remove it"),
            "VALUES" => {
                return wrong(
                    "|VALUES| belongs to the standard template: write |#each VALUES| … |/each| here",
                );
            }
            "/each" => return wrong("this |/each| has no |#each VALUES|: remove it or add that"),
            "/if" | "/unless" | "else" => {
                return Err(ErrorAt::new(
                    at,
                    format!("this |{tag}| has no |#if| or |#unless| to belong to: remove it"),
                ));
            }
            block if block.starts_with('#') => {
                let message = format!("|{block}| is not a block: use |#each VALUES|, |#if …| or |#unless …|");
                return Err(ErrorAt::new(at, message));
            }
            _ => {}
        }
        let variable = Variable::named(tag).map_err(|message| ErrorAt::new(at, message))?;
        if variable.is_of_event() && !inside {
            let message = format!("|{tag}| is of one event: put it between |#each VALUES| and |/each|");
            return Err(ErrorAt::new(at, message));
        }
        Ok(Node::Put { at, variable, quoted: self.quotes.open })
    }

    fn choice(
        &mut self,
        at: usize,
        word: &str,
        question: &str,
        inside: Option<usize>,
    ) -> Result<Node, ErrorAt> {
        let asked = match question {
            "@first" => Test::First,
            "@last" => Test::Last,
            "QUALITY" | "TAGQUALITY" => Test::Good,
            _ => {
                let message = format!("|{word} {question}| asks nothing: use @first, @last or QUALITY");
                return Err(ErrorAt::new(at, message));
            }
        };
        if inside.is_none() {
            let message =
                format!("|{word} {question}| is of one event: put it between |#each VALUES| and |/each|");
            return Err(ErrorAt::new(at, message));
        }
        let end = if word == "#if" { "/if" } else { "/unless" };
        let before = self.quotes.clone();
        let mut branches = vec![self.nodes(inside, &["else", end])?];
        let has_else = self.tokens.peek().is_some_and(|placed| placed.token == Token::Tag("else"));
        if has_else {
            self.tokens.next();
            let after = std::mem::replace(&mut self.quotes, before);
            branches.push(self.nodes(inside, &[end])?);
            self.quotes = after;
        }
        if self.tokens.next().is_none() {
            return Err(ErrorAt::new(at, format!("this |{word} {question}| has no |{end}|: add it")));
        }
        let mut branches = branches.into_iter();
        let (then, otherwise) = (branches.next().unwrap_or_default(), branches.next().unwrap_or_default());
        let (yes, no) = if word == "#if" { (then, otherwise) } else { (otherwise, then) };
        Ok(Node::Choice { question: asked, yes, no })
    }
}

/// State of a scan over the template: inside or outside of quotes.
#[derive(Debug, Clone, Default)]
pub(super) struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn follow(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.open,
                b'"' => self.open = !self.open,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> (usize, String) {
        let problem = read(text).unwrap_err();
        (problem.at, problem.message)
    }

    #[test]
    fn errors_name_position_and_fix() {
        for (text, at, words) in [
            ("{}", 0, "the template has no place for events: write |#each VALUES| … |/each|"),
            ("|#each VALUES||/each", 14, "this | has no partner on its line"),
            ("x |#each VALUES| |TAGNAME|", 2, "this |#each VALUES| has no |/each|"),
            (
                "|#each VALUES||TAGNAM||/each|",
                14,
                "|TAGNAM| is not a variable: did you mean |TAGNAME|? use |SERVER",
            ),
            ("|#each VALUES||tagname||/each|", 14, "did you mean |TAGNAME|?"),
            ("|#each VALUES||Banana||/each|", 14, "|Banana| is not a variable: use |SERVERTIMESTAMP|"),
            ("|VALUE||#each VALUES||/each|", 0, "|VALUE| is of one event"),
            ("|VALUES|", 0, "|VALUES| belongs to the standard template"),
            ("|#each VALUES||#each VALUES||/each||/each|", 14, "cannot be inside another one"),
            ("|#each VALUES||/each||#each VALUES||/each|", 21, "|#each VALUES| occurs twice"),
            ("|#each VALUES||/if||/each|", 14, "this |/if| has no |#if|"),
            (
                "|#each VALUES||#if VALUE|x|/if||/each|",
                14,
                "|#if VALUE| asks nothing: use @first, @last or QUALITY",
            ),
            ("|#each VALUES||#if @last|x|/unless||/each|", 26, "this |/unless| has no |#if| or |#unless|"),
            ("|#each VALUES||#if @last|x", 14, "this |#if @last| has no |/if|: add it"),
            ("|#each VALUES||#if @last|x|/each|", 26, "this |/each| has no |#each VALUES|"),
            ("|#if @last|x|/if||#each VALUES||/each|", 0, "is of one event"),
            ("|#each TAGS||/each|", 0, "|#each TAGS| is not a block: use |#each VALUES|"),
            ("|/each|", 0, "this |/each| has no |#each VALUES|"),
        ] {
            let (found, message) = problem(text);
            assert!(found == at && message.contains(words), "{text}: {found}: {message}");
        }
    }

    #[test]
    fn quotes_are_followed_over_escapes_and_branches() {
        let outline =
            read(r#"{"a\"": |#each VALUES||VALUE|, "|#if @last||TAGNAME||else|x\|/if|"|/each|}"#).unwrap();
        let quoted = |node: &Node| matches!(node, Node::Put { quoted: true, .. });
        assert!(!quoted(&outline.item[0]));
        let Node::Choice { yes, .. } = &outline.item[2] else { unreachable!("{outline:?}") };
        assert!(quoted(&yes[0]));
    }
}
