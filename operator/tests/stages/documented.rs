//! Every reason a user can meet stands in docs/identities.md.

const DOCUMENTED: &str = include_str!("../../../docs/identities.md");
/// Files with a line `Self::Word => "Word",` for each reason.
const SOURCES: [&str; 2] =
    [include_str!("../../src/fault.rs"), include_str!("../../../protocol/src/handoff/status.rs")];

fn reasons(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let (word, text) = line.trim().strip_prefix("Self::")?.split_once(" => \"")?;
        (text.trim_end_matches("\",") == word).then_some(word)
    })
}

#[test]
fn every_reason_is_documented() {
    for source in SOURCES {
        assert!(reasons(source).count() > 15, "the list of reasons is not where it was");
        let missing: Vec<_> =
            reasons(source).filter(|reason| !DOCUMENTED.contains(&format!("`{reason}`"))).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}

/// A promise whose test is gone is none.
#[test]
fn every_test_that_the_security_page_names_is_one() {
    let page = include_str!("../../../docs/security.md");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = String::new();
    for folder in ["agent", "emulator", "http", "operator", "tests"] {
        read(&root.join(folder), &mut sources);
    }
    let table = page.split("## Tests").nth(1).and_then(|rest| rest.split("## Smaller").next()).unwrap();
    let named: Vec<&str> =
        table.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() > 2).collect();
    assert!(named.len() > 30, "{named:?}");
    let unknown: Vec<&str> =
        named.into_iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

fn read(folder: &std::path::Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
