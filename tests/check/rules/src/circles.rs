//! The rule against import circles: no two files of a crate import one another, directly or in a ring. Reads the tracked files.

use crate::modules::{Tree, trees};
use crate::violation::Violation;
use std::collections::{BTreeMap, BTreeSet};

/// The line of an import, and the path as it is written.
type Place = (usize, String);

pub(crate) fn violations() -> Result<Vec<Violation>, String> {
    Ok(trees()?.iter().flat_map(circles).collect())
}

fn circles(tree: &Tree) -> Vec<Violation> {
    let imports = imports(tree);
    let reached: Vec<BTreeSet<usize>> = (0..tree.files.len()).map(|file| reachable(&imports, file)).collect();
    let mut violations = Vec::new();
    let mut seen = BTreeSet::new();
    for file in 0..tree.files.len() {
        let ring: BTreeSet<usize> =
            reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
        if ring.is_empty() || !seen.insert(ring.clone()) {
            continue;
        }
        let name = |file: usize| tree.files[file].display().to_string();
        let inside = imports.iter().filter(|((from, to), _)| ring.contains(from) && ring.contains(to));
        let lines: Vec<String> = inside
            .map(|((from, to), (line, path))| {
                format!("\n  {}:{line} uses {path} of {}", name(*from), name(*to))
            })
            .collect();
        violations.push(Violation::new(
            name(file),
            format!("{} files import one another:{}", ring.len(), lines.concat()),
        ));
    }
    violations
}

/// Returns the first import of each pair of files.
fn imports(tree: &Tree) -> BTreeMap<(usize, usize), Place> {
    let mut imports = BTreeMap::new();
    for (id, module) in tree.modules() {
        for path in &module.content.paths {
            if let Some(file) = tree.file_of(id, &path.segments)
                && file != module.file
            {
                imports.entry((module.file, file)).or_insert_with(|| (path.line, path.segments.join("::")));
            }
        }
    }
    imports
}

fn reachable(imports: &BTreeMap<(usize, usize), Place>, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        let next = imports.keys().filter(|(source, _)| *source == file).map(|(_, target)| *target);
        open.extend(next.filter(|target| reached.insert(*target)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::tests::tree;

    #[test]
    fn ring_of_three_files_is_found_and_its_lines_named() {
        let tree = tree(&[
            ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
            ("src/a.rs", "use crate::b::B; pub struct A;"),
            ("src/b.rs", "pub struct B;\nfn f() { crate::c::c() }"),
            ("src/c.rs", "pub fn c() { println!(\"{}\", super::a::A) }"),
            ("src/d.rs", "use crate::a::A;"),
        ]);
        let found = circles(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("3 files"), "{}", found[0].text);
        assert!(found[0].text.contains("src/b.rs:2 uses crate::c::c of src/c.rs"), "{}", found[0].text);
    }

    #[test]
    fn imports_in_one_direction_and_in_tests_are_no_circle() {
        let tree = tree(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
            ("src/b.rs", "use crate::a::A; pub struct B;"),
        ]);
        assert!(circles(&tree).is_empty());
    }
}
