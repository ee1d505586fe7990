//! The paths in a piece of Rust: a scanner over tokens that knows `use`, `mod`, definitions and `a::b`. Pure.
//!
//! Tokens and not a syntax tree, because paths inside of macro calls count as well.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use std::iter::Peekable;

/// A path with at least two segments, or one that `use` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// A name that `use` brings into a module; `None` is `*`.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) name: Option<String>,
    pub(crate) path: Path,
}

/// A type and the line of its definition.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) line: usize,
}

/// A module that a file declares.
#[derive(Debug)]
pub(crate) enum Child {
    /// `mod name;`, with the value of `#[path]`.
    File { name: String, path: Option<String> },
    /// `mod name { … }`.
    Inline { name: String, module: Scanned },
}

/// The content of one module, without what is compiled for tests only.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) children: Vec<Child>,
    pub(crate) imports: Vec<Import>,
    pub(crate) paths: Vec<Path>,
    pub(crate) definitions: Vec<String>,
    pub(crate) types: Vec<Type>,
}

const TYPES: [&str; 4] = ["struct", "enum", "trait", "type"];
const OTHER_DEFINITIONS: [&str; 5] = ["fn", "const", "static", "union", "macro"];

/// Scans a module's tokens.
pub(crate) fn scan(tokens: TokenStream) -> Scanned {
    let mut scanned = Scanned::default();
    scanned.items(tokens, true);
    scanned
}

type Tokens = Peekable<proc_macro2::token_stream::IntoIter>;

impl Scanned {
    /// Scans tokens of the module itself (`top`), or of a body inside of it.
    fn items(&mut self, tokens: TokenStream, top: bool) {
        let mut tokens = tokens.into_iter().peekable();
        let mut file = None;
        let mut after_dot = false;
        while let Some(token) = tokens.next() {
            let was_after_dot = std::mem::replace(
                &mut after_dot,
                matches!(&token, TokenTree::Punct(p) if p.as_char() == '.'),
            );
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => match attribute(&mut tokens) {
                    Some(Attribute::TestOnly) => skip_item(&mut tokens),
                    Some(Attribute::Path(path)) => file = Some(path),
                    Some(Attribute::Other(content)) => self.items(content, false),
                    None => {}
                },
                TokenTree::Punct(punct) if punct.as_char() == ':' && next_is(&mut tokens, ':') => {
                    // `::name` names another crate, and `<T as Trait>::name` what is known by `Trait`
                    tokens.next();
                    if matches!(tokens.peek(), Some(TokenTree::Ident(_))) {
                        tokens.next();
                    }
                }
                TokenTree::Group(group) => self.items(group.stream(), false),
                TokenTree::Ident(ident) if was_after_dot => drop(ident),
                TokenTree::Ident(ident) if ident == "use" => self.import(&mut tokens, Vec::new()),
                TokenTree::Ident(ident) if top && ident == "mod" => self.module(&mut tokens, file.take()),
                TokenTree::Ident(ident) => {
                    if top && let Some(TokenTree::Ident(name)) = tokens.peek() {
                        self.definition(&ident, &name.clone());
                    }
                    self.path(&ident, &mut tokens);
                }
                _ => {}
            }
        }
    }

    fn definition(&mut self, keyword: &Ident, name: &Ident) {
        let keyword = keyword.to_string();
        if TYPES.contains(&keyword.as_str()) {
            self.types.push(Type { name: name.to_string(), line: name.span().start().line });
        }
        if TYPES.contains(&keyword.as_str()) || OTHER_DEFINITIONS.contains(&keyword.as_str()) {
            self.definitions.push(name.to_string());
        }
    }

    fn module(&mut self, tokens: &mut Tokens, path: Option<String>) {
        let Some(TokenTree::Ident(name)) = tokens.next() else { return };
        let name = name.to_string();
        match tokens.next() {
            Some(TokenTree::Group(body)) => {
                self.children.push(Child::Inline { name, module: scan(body.stream()) });
            }
            _ => self.children.push(Child::File { name, path }),
        }
    }

    /// Reads one tree of a `use` after the segments that are known already.
    fn import(&mut self, tokens: &mut Tokens, mut segments: Vec<String>) {
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) if ident == "as" => {
                    let name = tokens.next().map(|token| token.to_string());
                    return self.bind(name, segments, ident.span().start().line);
                }
                TokenTree::Ident(ident) => {
                    let line = ident.span().start().line;
                    segments.push(ident.to_string());
                    if next_is(tokens, ':') {
                        tokens.next();
                        tokens.next();
                    } else if !matches!(tokens.peek(), Some(TokenTree::Ident(next)) if next == "as") {
                        if segments.last().is_some_and(|last| last == "self") {
                            segments.pop();
                        }
                        return self.bind(segments.last().cloned(), segments, line);
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    return self.bind(None, segments, punct.span().start().line);
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let mut inner = group.stream().into_iter().peekable();
                    while inner.peek().is_some() {
                        self.import(&mut inner, segments.clone());
                        if next_is(&mut inner, ',') {
                            inner.next();
                        }
                    }
                    return;
                }
                // `use ::name` names another crate; `impl use<…>` and the like name nothing
                _ => return,
            }
        }
    }

    fn bind(&mut self, name: Option<String>, segments: Vec<String>, line: usize) {
        let path = Path { segments, line };
        self.paths.push(path.clone());
        self.imports.push(Import { name, path });
    }

    fn path(&mut self, first: &Ident, tokens: &mut Tokens) {
        let mut segments = vec![first.to_string()];
        while next_is(tokens, ':') {
            let mut ahead = tokens.clone();
            ahead.next();
            if !next_is(&mut ahead, ':') {
                break;
            }
            ahead.next();
            let Some(TokenTree::Ident(next)) = ahead.peek() else { break };
            segments.push(next.to_string());
            ahead.next();
            *tokens = ahead;
        }
        if segments.len() > 1 {
            self.paths.push(Path { segments, line: first.span().start().line });
        }
    }
}

enum Attribute {
    TestOnly,
    Path(String),
    Other(TokenStream),
}

fn attribute(tokens: &mut Tokens) -> Option<Attribute> {
    if next_is(tokens, '!') {
        tokens.next();
    }
    let Some(TokenTree::Group(group)) = tokens.peek() else { return None };
    let content = group.stream();
    tokens.next();
    let words: Vec<String> = content
        .to_string()
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .map(ToOwned::to_owned)
        .collect();
    if words.first().is_some_and(|word| word == "cfg")
        && words.iter().any(|word| word == "test")
        && !words.iter().any(|word| word == "not")
    {
        return Some(Attribute::TestOnly);
    }
    if words.first().is_some_and(|word| word == "path") {
        return content.to_string().split('"').nth(1).map(|path| Attribute::Path(path.to_owned()));
    }
    Some(Attribute::Other(content))
}

/// Skips an item: up to its body, or to the semicolon that ends it.
fn skip_item(tokens: &mut Tokens) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            _ => {}
        }
    }
}

fn next_is(tokens: &mut Tokens, character: char) -> bool {
    matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        scan(text.parse().unwrap()).paths.iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn paths_are_found_in_imports_bodies_and_macro_calls() {
        assert_eq!(
            paths("use crate::a::{B, c::{self, D as E}, *};"),
            ["crate::a::B", "crate::a::c", "crate::a::c::D", "crate::a"]
        );
        assert_eq!(
            paths("fn f(a: super::A) -> B { print!(\"{}\", x::y(z.k::<q::W>())) }"),
            ["super::A", "x::y", "q::W"]
        );
        assert_eq!(paths("fn f() { ::other::A; <T as m::Trait>::Item; a.b; }"), ["m::Trait"]);
    }

    #[test]
    fn items_compiled_for_tests_only_are_left_out() {
        assert_eq!(
            paths("#[cfg(test)] mod tests { use a::B; } #[cfg(test)] use c::D; #[cfg(not(test))] use e::F;"),
            ["e::F"]
        );
    }

    #[test]
    fn modules_types_and_definitions_are_found() {
        let scanned = scan(
            "mod a; pub(crate) mod b { struct C; } pub struct D<T>(T); enum E {} fn f() { struct G; }"
                .parse()
                .unwrap(),
        );
        assert_eq!(scanned.types.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["D", "E"]);
        assert_eq!(scanned.definitions, ["D", "E", "f"]);
        assert!(
            matches!(&scanned.children[..], [Child::File { name: a, path: None }, Child::Inline { name: b, .. }] if a == "a" && b == "b")
        );
    }
}
