//! The committed manifests are what the types say. Reads files.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]

use std::path::Path;

#[test]
fn manifests_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for folder in ["crds/manifests", "charts/lanyard/files/crds"] {
        let expected = lanyard_crds::schema::manifests();
        for (name, text) in &expected {
            let path = root.join(folder).join(name);
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(&found == text, "{} is not current: run `make generate` and commit it", path.display());
        }
        let files = std::fs::read_dir(root.join(folder)).unwrap().count();
        assert_eq!(files, expected.len(), "{folder} has a file that is not generated");
    }
}
