//! Test of every seed without an engine: a real file, or one that broke a reader once.

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
