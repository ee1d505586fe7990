//! The rule for type names: one name, one type in a crate. Reads the tracked files.

use crate::modules::{Tree, trees};
use crate::violation::Violation;
use std::collections::BTreeMap;

pub(crate) fn violations() -> Result<Vec<Violation>, String> {
    Ok(trees()?.iter().flat_map(shared_names).collect())
}

fn shared_names(tree: &Tree) -> Vec<Violation> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (_, module) in tree.modules() {
        for found in &module.content.types {
            places.entry(&found.name).or_default().push(format!(
                "{}:{}",
                tree.files[module.file].display(),
                found.line
            ));
        }
    }
    let shared = places.into_iter().filter(|(_, places)| places.len() > 1);
    shared
        .map(|(name, places)| {
            Violation::new(
                &places[0],
                format!("{} types are called {name}: {}", places.len(), places.join(", ")),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::tests::tree;

    #[test]
    fn name_of_two_types_is_found_with_both_places() {
        let tree = tree(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "struct A; struct B;"),
            ("src/b.rs", "\nenum A {}"),
        ]);
        let found = shared_names(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "2 types are called A: src/a.rs:1, src/b.rs:2");
    }
}
