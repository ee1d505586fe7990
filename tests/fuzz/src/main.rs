//! Reader under libFuzzer, which searches for bytes that reach new code. `LANYARD_FUZZ` names the reader; the arguments are
//! those of libFuzzer.
#![no_main]

use std::sync::OnceLock;

use lanyard_fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("LANYARD_FUZZ").unwrap_or_default();
        lanyard_fuzz::target(&name).expect("LANYARD_FUZZ names a folder of seeds")
    });
    target(bytes);
});
