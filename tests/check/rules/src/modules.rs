//! The modules of a crate, and the file that a path leads to. Reads the tracked files.

use crate::paths::{Child, Scanned, scan};
use crate::tracked::{files, text};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A crate, as the tree of its modules; the first is the root.
pub(crate) struct Tree {
    modules: Vec<Module>,
    pub(crate) files: Vec<PathBuf>,
}

pub(crate) struct Module {
    pub(crate) file: usize,
    parent: usize,
    children: HashMap<String, usize>,
    pub(crate) content: Scanned,
}

/// Longest chain of re-exports that is followed; more is a ring of names.
const MAX_DEPTH: usize = 32;

/// Reads every crate that has a `main.rs` or `lib.rs` among the tracked files.
///
/// # Errors
/// git or a file cannot be read, or a file is not Rust.
pub(crate) fn trees() -> Result<Vec<Tree>, String> {
    let root = |path: &String| path.ends_with("/main.rs") || path.ends_with("/lib.rs");
    files()?.into_iter().filter(root).map(|path| Tree::read(Path::new(&path), &disk)).collect()
}

fn disk(path: &Path) -> Result<Option<String>, String> {
    if path.is_file() { text(&path.to_string_lossy()) } else { Ok(None) }
}

type Read<'a> = &'a dyn Fn(&Path) -> Result<Option<String>, String>;

impl Tree {
    /// Reads the crate whose root is a file.
    pub(crate) fn read(root: &Path, read: Read<'_>) -> Result<Self, String> {
        let mut tree = Self { modules: Vec::new(), files: Vec::new() };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        tree.add_file(root, &folder, 0, read)?;
        Ok(tree)
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = (usize, &Module)> {
        self.modules.iter().enumerate()
    }

    fn add_file(
        &mut self,
        path: &Path,
        folder: &Path,
        parent: usize,
        read: Read<'_>,
    ) -> Result<usize, String> {
        let text = read(path)?.ok_or_else(|| format!("{} does not exist", path.display()))?;
        let tokens = text.parse().map_err(|error| format!("{} is not Rust: {error}", path.display()))?;
        self.files.push(path.to_owned());
        self.add(scan(tokens), self.files.len() - 1, folder, parent, read)
    }

    fn add(
        &mut self,
        mut content: Scanned,
        file: usize,
        folder: &Path,
        parent: usize,
        read: Read<'_>,
    ) -> Result<usize, String> {
        let children = std::mem::take(&mut content.children);
        let id = self.modules.len();
        self.modules.push(Module { file, parent, children: HashMap::new(), content });
        for child in children {
            let (name, child) = match child {
                Child::Inline { name, module } => {
                    let added = self.add(module, file, &folder.join(&name), id, read)?;
                    (name, added)
                }
                Child::File { name, path } => {
                    let own = self.files[file].parent().unwrap_or(Path::new("")).to_owned();
                    let candidates = match path {
                        Some(path) => vec![own.join(path)],
                        None => vec![folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")],
                    };
                    let mut found = None;
                    for candidate in candidates {
                        if found.is_none() && read(&candidate)?.is_some() {
                            found = Some(candidate);
                        }
                    }
                    let path = found
                        .ok_or_else(|| format!("mod {name} of {} has no file", self.files[file].display()))?;
                    (name.clone(), self.add_file(&path, &folder.join(&name), id, read)?)
                }
            };
            self.modules[id].children.insert(name, child);
        }
        Ok(id)
    }

    /// Returns the file that defines what a path of a module names; none for other crates, and for modules themselves.
    pub(crate) fn file_of(&self, module: usize, path: &[String]) -> Option<usize> {
        match self.resolve(module, path, 0)? {
            Found::Item(file) => Some(file),
            Found::Module(_) => None,
        }
    }

    fn resolve(&self, module: usize, path: &[String], depth: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(0, rest, depth),
            "self" => self.walk(module, rest, depth),
            "super" => match rest.first() {
                Some(next) if next == "super" => self.resolve(self.modules[module].parent, rest, depth),
                _ => self.walk(self.modules[module].parent, rest, depth),
            },
            name => match self.lookup(module, name, depth)? {
                Found::Module(found) => self.walk(found, rest, depth),
                item @ Found::Item(_) => Some(item),
            },
        }
    }

    fn walk(&self, mut module: usize, path: &[String], depth: usize) -> Option<Found> {
        for segment in path {
            match self.lookup(module, segment, depth) {
                Some(Found::Module(found)) => module = found,
                Some(item @ Found::Item(_)) => return Some(item),
                // made by a macro of the module
                None => return Some(Found::Item(self.modules[module].file)),
            }
        }
        Some(Found::Module(module))
    }

    /// Looks a name up in a module: its children, its definitions, its imports.
    fn lookup(&self, module: usize, name: &str, depth: usize) -> Option<Found> {
        if depth > MAX_DEPTH {
            return None;
        }
        let here = &self.modules[module];
        if let Some(child) = here.children.get(name) {
            return Some(Found::Module(*child));
        }
        if here.content.definitions.iter().any(|defined| defined == name) {
            return Some(Found::Item(here.file));
        }
        let imports = &here.content.imports;
        if let Some(import) = imports.iter().find(|import| import.name.as_deref() == Some(name)) {
            return self.resolve(module, &import.path.segments, depth + 1);
        }
        imports.iter().filter(|import| import.name.is_none()).find_map(|glob| {
            match self.resolve(module, &glob.path.segments, depth + 1)? {
                Found::Module(found) if found != module => self.lookup(found, name, depth + 1),
                _ => None,
            }
        })
    }
}

enum Found {
    Module(usize),
    Item(usize),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
        let read = |path: &Path| {
            Ok(files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned()))
        };
        Tree::read(Path::new("src/lib.rs"), &read).unwrap()
    }

    fn found(tree: &Tree, from: &str, path: &str) -> Option<String> {
        let (module, _) =
            tree.modules().find(|(_, module)| tree.files[module.file] == Path::new(from)).unwrap();
        let path: Vec<String> = path.split("::").map(ToOwned::to_owned).collect();
        Some(tree.files[tree.file_of(module, &path)?].to_string_lossy().into_owned())
    }

    #[test]
    fn path_leads_through_re_exports_to_the_defining_file() {
        let tree = tree(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a/mod.rs", "mod c; mod d; pub use c::C; pub(crate) use d::*;"),
            ("src/a/c.rs", "pub struct C; use super::D; use super::super::b;"),
            ("src/a/d.rs", "pub struct D; macros! {}"),
            ("src/b.rs", "use crate::a; pub fn f() {} mod inner { use super::f; }"),
        ]);
        assert_eq!(found(&tree, "src/b.rs", "crate::a::C").as_deref(), Some("src/a/c.rs"));
        assert_eq!(found(&tree, "src/b.rs", "a::D").as_deref(), Some("src/a/d.rs"));
        assert_eq!(found(&tree, "src/a/c.rs", "super::D").as_deref(), Some("src/a/d.rs"));
        assert_eq!(found(&tree, "src/a/c.rs", "b::f").as_deref(), Some("src/b.rs"));
        assert_eq!(found(&tree, "src/a/c.rs", "super::d::made_by_macro").as_deref(), Some("src/a/d.rs"));
        assert_eq!(found(&tree, "src/b.rs", "crate::a"), None, "a module");
        assert_eq!(found(&tree, "src/b.rs", "std::fmt::Debug"), None, "another crate");
    }
}
