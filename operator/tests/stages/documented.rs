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
