//! Every seed, which is a file as it is met in the field or one that broke a reader once, is read without an engine too.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]

use std::path::Path;

#[test]
fn every_seed_is_read() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (name, target) in lanyard_fuzz::TARGETS {
        let files = std::fs::read_dir(seeds.join(name)).unwrap();
        let read = files.map(|file| target(&std::fs::read(file.unwrap().path()).unwrap())).count();
        assert!(read > 0, "{name} has no seeds");
    }
}
