//! Plan of a template: the output for the first event of a message, for the others, and for the last one. Pure.

use crate::templates::node::{Node, Outline, Test, Variable};

/// Piece of the output.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text { at: usize, text: Box<str> },
    Put { at: usize, variable: Variable, quoted: bool },
    ByQuality { good: Box<[Piece]>, bad: Box<[Piece]> },
}

/// Output for one event. An event is known to be the last one only when no further event fits, so the text that last
/// and other events share comes first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) shared: Vec<Piece>,
    /// Rest of the output if another event follows.
    pub(super) more: Vec<Piece>,
    /// Rest of the output for the last event.
    pub(super) last: Vec<Piece>,
}

/// Output of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) head: Vec<Piece>,
    pub(super) first: Item,
    pub(super) others: Item,
    pub(super) tail: Vec<Piece>,
}

impl Plan {
    pub(super) fn of(outline: &Outline) -> Self {
        let item = |first| Item::of(&outline.item, first);
        Self {
            head: pieces(&outline.head, true, true),
            first: item(true),
            others: item(false),
            tail: pieces(&outline.tail, false, true),
        }
    }
}

impl Item {
    fn of(nodes: &[Node], first: bool) -> Self {
        let (mut shared, last) = (pieces(nodes, first, false), pieces(nodes, first, true));
        let common = shared.iter().zip(&last).take_while(|(more, last)| more == last).count();
        let more = shared.split_off(common);
        Self { shared, more, last: last.into_iter().skip(common).collect() }
    }
}

/// Decides the conditions that do not depend on the event.
fn pieces(nodes: &[Node], first: bool, last: bool) -> Vec<Piece> {
    let mut out = Vec::new();
    for node in nodes {
        match node {
            Node::Text { at, text } => out.push(Piece::Text { at: *at, text: text.as_str().into() }),
            Node::Put { at, variable, quoted } => out.push(match variable {
                Variable::First => truth(*at, first),
                Variable::Last => truth(*at, last),
                variable => Piece::Put { at: *at, variable: *variable, quoted: *quoted },
            }),
            Node::Choice { question, yes, no } => match question {
                Test::First => out.extend(pieces(if first { yes } else { no }, first, last)),
                Test::Last => out.extend(pieces(if last { yes } else { no }, first, last)),
                Test::Good => {
                    let of = |nodes: &[Node]| pieces(nodes, first, last).into_boxed_slice();
                    out.push(Piece::ByQuality { good: of(yes), bad: of(no) });
                }
            },
        }
    }
    out
}

fn truth(at: usize, is: bool) -> Piece {
    Piece::Text { at, text: if is { "true" } else { "false" }.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::node::read;

    #[test]
    fn text_shared_with_the_last_event_comes_first() {
        let plan = Plan::of(&read("|#each VALUES||TAGNAME| |#unless @last|,|/unless|;|/each|").unwrap());
        assert_eq!((plan.others.shared.len(), plan.others.more.len(), plan.others.last.len()), (2, 2, 1));
        assert_eq!(plan.first, plan.others);
    }
}
