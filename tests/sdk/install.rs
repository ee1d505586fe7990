//! The SDKs, at the versions that lie beside this file, installed under `target/sdk` when they are missing or changed.
//! Talks to the package registries, once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the folder of the scripts.
pub(crate) fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk")
}

fn target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/sdk").join(name)
}

/// Returns a Python interpreter with the SDK, which is installed first if necessary.
pub(crate) fn python() -> PathBuf {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let (dir, requirements) = (target("python"), source().join("python/requirements.txt"));
        let python = dir.join("bin/python");
        once(&dir, &[&requirements], "python3", || {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir));
            let pip =
                ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"];
            run(Command::new(&python).args(pip).arg(&requirements));
        });
        python
    };
    READY.get_or_init(install).clone()
}

/// Returns a directory of Node modules with the SDK, which is installed first if necessary.
pub(crate) fn node_modules() -> PathBuf {
    static READY: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let (dir, source) = (target("node"), source().join("node"));
        let files = [source.join("package.json"), source.join("package-lock.json")];
        once(&dir, &[&files[0], &files[1]], "node", || {
            std::fs::create_dir_all(&dir).unwrap();
            for file in &files {
                std::fs::copy(file, dir.join(file.file_name().unwrap())).unwrap();
            }
            let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
            run(Command::new("npm").args(npm).current_dir(&dir));
        });
        dir.join("node_modules")
    };
    READY.get_or_init(install).clone()
}

/// Calls `install` unless it was done for these files and this interpreter.
fn once(dir: &Path, files: &[&Path], interpreter: &str, install: impl FnOnce()) {
    let stamp = dir.join("installed");
    let mut hasher = DefaultHasher::new();
    files.iter().for_each(|file| std::fs::read(file).unwrap().hash(&mut hasher));
    let version = Command::new(interpreter).arg("--version").output();
    let version =
        version.unwrap_or_else(|error| panic!("{interpreter} is needed for the SDK tests: {error}"));
    version.stdout.hash(&mut hasher);
    let expected = format!("{:016x}", hasher.finish());
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == expected) {
        return;
    }
    println!("installing into {}", dir.display());
    install();
    std::fs::write(stamp, expected).unwrap();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&text));
}
