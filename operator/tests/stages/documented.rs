//! Documentation of every reason, and existence of every test that the security page names.

use lanyard_operator::reason::Reason;

const DOCUMENTED: &str = include_str!("../../../docs/identities.md");
const RUNBOOK: &str = include_str!("../../../docs/runbook.md");

#[test]
fn every_reason_is_documented() {
    let missing: Vec<&str> = Reason::all()
        .map(Reason::as_str)
        .filter(|reason| {
            !DOCUMENTED.contains(&format!("`{reason}`")) && !RUNBOOK.contains(&format!("`{reason}`"))
        })
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn reasons_are_unique_and_read_back() {
    for reason in Reason::all() {
        assert_eq!(Reason::parse(reason.as_str()), Some(reason), "{reason:?}");
    }
}

/// A promise needs its test.
#[test]
fn tests_named_in_the_security_page_exist() {
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
