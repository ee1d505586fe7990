//! Line and column of every field of a YAML document. Pure.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// Position in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
}

impl Position {
    /// Returns the position of the parser, if it is known.
    #[must_use]
    pub fn of(location: Location) -> Option<Self> {
        (location != Location::UNKNOWN).then(|| Self { line: location.line(), column: location.column() })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Positions of a document's fields, by paths such as `devices[0].tags[2].source`.
#[derive(Debug, Default)]
pub struct Positions(HashMap<String, Position>);

impl Positions {
    /// Reads the positions of a document; none if it is not YAML.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut positions = Self::default();
        if let Ok(node) = serde_saphyr::from_str::<YamlNode>(text) {
            positions.note(String::new(), &node);
        }
        positions
    }

    /// Returns the position of a field, or of the nearest existing parent.
    #[must_use]
    pub fn find(&self, field: &str) -> Option<Position> {
        if let Some(position) = self.0.get(field) {
            return Some(*position);
        }
        // The document itself has a position, too.
        let parent = field.rfind(['.', '[']).unwrap_or(0);
        if field.is_empty() { None } else { self.find(&field[..parent]) }
    }

    fn note(&mut self, path: String, node: &YamlNode) {
        match &node.0.value {
            NodeKind::Map(fields) => {
                for (name, field) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.note(format!("{path}{dot}{name}"), field);
                }
            }
            NodeKind::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.note(format!("{path}[{at}]"), item);
                }
            }
            NodeKind::Leaf => {}
        }
        if let Some(position) = Position::of(node.0.referenced) {
            self.0.insert(path, position);
        }
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct YamlNode(Spanned<NodeKind>);

enum NodeKind {
    Map(BTreeMap<String, YamlNode>),
    List(Vec<YamlNode>),
    Leaf,
}

impl<'de> Deserialize<'de> for NodeKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = NodeKind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeKind, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, field)) = map.next_entry()? {
            fields.insert(name, field);
        }
        Ok(NodeKind::Map(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NodeKind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(NodeKind::List(items))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_unit<E: Error>(self) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_none<E: Error>(self) -> Result<NodeKind, E> {
        Ok(NodeKind::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<NodeKind, D::Error> {
        NodeKind::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_position() {
        let text = "version: 1\ndevices:\n  - name: a\n    hub: {hostname: h, port: -5}\n  - name: ~\n";
        let positions = Positions::of(text);
        let at = |field: &str| positions.find(field).map(|position| (position.line, position.column));
        assert_eq!(at("version"), Some((1, 10)));
        assert_eq!(at("devices[0].name"), Some((3, 11)));
        assert_eq!(at("devices[0].hub.port"), Some((4, 30)));
        assert_eq!(at("devices[1].name"), Some((5, 11)));
        // What is not there is looked for where it should be.
        assert_eq!(at("devices[0].hub.gateway"), Some((4, 10)));
        assert_eq!(at("devices[0].telemetry.interval"), at("devices[0]"));
        assert_eq!(at("nothing"), Some((1, 1)));
        assert_eq!(Positions::of("a: [").find("a"), None);
    }
}
