//! The standard template: fields one a line, `key: |VARIABLE|` or `key: text`, of the message and of each event. Pure.
//!
//! A variable alone is the field's JSON value. Anything else is a JSON text, in which variables are put (the reference
//! knows of text without variables only, UNCONFIRMED). Keys are written in the order of the lines, without blanks: the
//! texts that the vendor ships give the bytes of Narrow and Wide.

use crate::templates::escape;
use crate::templates::node::{Node, Outline, Test, Variable};
use crate::templates::problem::{ErrorAt, TemplateError};
use crate::templates::texts::StandardTexts;
use crate::templates::token::{Placed, Token, cut};

const MESSAGE: &str = "standard.message";
const VALUES: &str = "standard.values";

/// Reads both texts.
pub(super) fn read(standard: &StandardTexts) -> Result<Outline, TemplateError> {
    let of_message = |problem: ErrorAt| problem.of(MESSAGE, &standard.message);
    let mut list = None;
    let mut head = Vec::new();
    let mut tail = Vec::new();
    for (position, line) in lines(&standard.message).map_err(of_message)?.iter().enumerate() {
        let place = if list.is_some() { &mut tail } else { &mut head };
        key(place, line, position == 0);
        if line.tokens.iter().any(|placed| placed.token == Token::Tag("VALUES")) {
            if list.replace(line.at).is_some() || line.tokens.len() > 1 {
                let message = "|VALUES| must be alone in one field: remove the rest";
                return Err(of_message(ErrorAt::new(line.at, message)));
            }
            place.push(text(line.at, "["));
            tail.push(text(line.at, "]"));
        } else {
            field(place, line, false).map_err(of_message)?;
        }
    }
    let Some(at) = list else {
        return Err(of_message(ErrorAt::new(
            0,
            "the template has no place for events: add a line such as values: |VALUES|",
        )));
    };
    tail.push(text(at, "}"));
    let of_values = |problem: ErrorAt| problem.of(VALUES, &standard.values);
    let mut item = Vec::new();
    for (position, line) in lines(&standard.values).map_err(of_values)?.iter().enumerate() {
        key(&mut item, line, position == 0);
        field(&mut item, line, true).map_err(of_values)?;
    }
    item.push(text(0, "}"));
    item.push(Node::Choice { question: Test::Last, yes: Vec::new(), no: vec![text(0, ",")] });
    Ok(Outline { head, item, tail })
}

/// A field.
struct Line<'a> {
    at: usize,
    key: &'a str,
    tokens: Vec<Placed<'a>>,
}

/// Reads the fields of a text, one per line; ignores empty lines.
fn lines(text: &str) -> Result<Vec<Line<'_>>, ErrorAt> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        let start = at;
        at += whole.len();
        if whole.trim().is_empty() {
            continue;
        }
        let Some((key, value)) =
            whole.split_once(':').filter(|(key, _)| !key.contains('|') && !key.trim().is_empty())
        else {
            return Err(ErrorAt::new(start, "this is not a field: write key: |VARIABLE| or key: text"));
        };
        let key = key.trim();
        if lines.iter().any(|line| line.key == key) {
            return Err(ErrorAt::new(start, format!("{key:?} occurs twice: keep one")));
        }
        let offset = start + (whole.len() - value.len()) + (value.len() - value.trim_start().len());
        let tokens = cut(value.trim()).map_err(|problem| ErrorAt { at: problem.at + offset, ..problem })?;
        let tokens =
            tokens.into_iter().map(|token| Placed { at: token.at + offset, token: token.token }).collect();
        lines.push(Line { at: start, key, tokens });
    }
    if lines.is_empty() {
        return Err(ErrorAt::new(0, "there is no field: write lines such as key: |VARIABLE|"));
    }
    Ok(lines)
}

fn text(at: usize, text: &str) -> Node {
    Node::Text { at, text: text.to_owned() }
}

fn key(out: &mut Vec<Node>, line: &Line<'_>, first: bool) {
    let (before, key) = (if first { "{" } else { "," }, inside(line.key));
    out.push(text(line.at, &format!("{before}\"{key}\":")));
}

fn inside(plain: &str) -> String {
    let mut out = Vec::new();
    escape::text(&mut out, plain);
    String::from_utf8(out).expect("text was escaped by ASCII")
}

fn field(out: &mut Vec<Node>, line: &Line<'_>, of_event: bool) -> Result<(), ErrorAt> {
    let mut puts = Vec::new();
    for placed in &line.tokens {
        let at = placed.at;
        puts.push(match placed.token {
            Token::Text(plain) => text(at, &inside(plain)),
            Token::Bar => text(at, "|"),
            Token::Tag(name) => {
                let variable = Variable::named(name).map_err(|_| unknown(at, name, of_event))?;
                let fits = if variable.is_of_event() { of_event } else { true };
                if !fits || matches!(variable, Variable::First | Variable::Last | Variable::Index) {
                    return Err(unknown(at, name, of_event));
                }
                Node::Put { at, variable, quoted: true }
            }
        });
    }
    match puts.as_mut_slice() {
        [Node::Put { variable, quoted, .. }]
            if !matches!(variable, Variable::Name | Variable::Date | Variable::ServerDate) =>
        {
            *quoted = false;
            out.append(&mut puts);
        }
        _ => {
            out.push(text(line.at, "\""));
            out.append(&mut puts);
            out.push(text(line.at, "\""));
        }
    }
    Ok(())
}

fn unknown(at: usize, name: &str, of_event: bool) -> ErrorAt {
    let usage = if of_event {
        "|TAGNAME|, |TAGVALUE|, |TAGQUALITY|, |TAGTIMESTAMP|, |TAGDATE|, |SERVERTIMESTAMP| or |SERVERDATE|"
    } else {
        "|SERVERTIMESTAMP|, |SERVERDATE| or |VALUES|"
    };
    ErrorAt::new(at, format!("|{name}| is not a variable of this text: use {usage}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(message: &str, values: &str) -> String {
        let standard = StandardTexts { message: message.to_owned(), values: values.to_owned() };
        read(&standard).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_position_and_fix() {
        let (message, values) = ("timestamp: |SERVERTIMESTAMP|\r\nvalues: |VALUES|\r\n", "id: |TAGNAME|");
        for (message, values, expected) in [
            ("values: |VALUES|", "", "standard.values, line 1, column 1: there is no field"),
            ("a: b", values, "standard.message, line 1, column 1: the template has no place for events"),
            (
                "a: |VALUES|\nb: |VALUES|",
                values,
                "standard.message, line 2, column 1: |VALUES| must be alone",
            ),
            ("a: x|VALUES|", values, "standard.message, line 1, column 1: |VALUES| must be alone"),
            (
                "a: |TAGNAME|\nb: |VALUES|",
                values,
                "standard.message, line 1, column 4: |TAGNAME| is not a variable of this text",
            ),
            (
                message,
                "id: |TAGNAME|\nv:  |TAGVALU|",
                "standard.values, line 2, column 5: |TAGVALU| is not a variable of this text",
            ),
            (message, "id: |TAGNAME|\nid: x", "standard.values, line 2, column 1: \"id\" occurs twice"),
            (message, "id", "standard.values, line 1, column 1: this is not a field"),
            (message, " : x", "standard.values, line 1, column 1: this is not a field"),
            (message, "|TAGNAME|: x", "standard.values, line 1, column 1: this is not a field"),
            (message, "id: |VALUE", "standard.values, line 1, column 5: this | has no partner"),
        ] {
            let actual = problem(message, values);
            assert!(actual.starts_with(expected), "{actual}\n{expected}");
        }
    }
}
