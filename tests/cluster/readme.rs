//! The README's commands, run unchanged.

use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::installation::{Plant, command, repository};
use lanyard_tests::readme::block;

use crate::PRIMARY;

/// Runs a block in the namespace, in the checkout; it must succeed.
fn run(plant: &Plant, name: &str) -> String {
    // Into the test's namespace, and without taking away the emulator that other tests need.
    let wrappers = format!(
        "kubectl() {{ command kubectl -n {} \"$@\"; }}\nhelm() {{ command helm \"$@\" --reuse-values; }}",
        plant.namespace
    );
    let script = format!("set -euo pipefail\n{wrappers}\n{}", block(name));
    let output = command("bash").args(["-c", &script]).output().expect("bash can be started");
    let shown =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "README block {name}:\n{script}\n{shown}");
    shown
}

/// A file that the README tells people to have; removed at the end.
struct Held(std::path::PathBuf);

impl Held {
    fn new(name: &str, content: &str) -> Self {
        let path = repository().join(name);
        std::fs::write(&path, content).expect("the checkout can be written");
        Self(path)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn commands_for_an_existing_cluster_work() {
    let plant = Plant::new("readme");
    run(&plant, "install");

    let _key = Held::new("group-key.txt", &format!("{PRIMARY}\n"));
    run(&plant, "group");
    plant.await_condition("press-17", "CredentialsReady", "True", "");
    let derived = SymmetricKey::from_base64(PRIMARY).unwrap().derive("press-17").to_base64();
    let shown = plant.kubectl(&[
        "get",
        "secret",
        "press-17-credentials",
        "-o",
        "go-template={{.data.sharedAccessKey | base64decode}}",
    ]);
    assert_eq!(shown.trim(), derived.as_str());

    let _string = Held::new(
        "connection-string.txt",
        "HostName=contoso.azure-devices.net;DeviceId=gateway-1;SharedAccessKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    );
    run(&plant, "hub");
    plant.await_condition("gateway-1", "CredentialsReady", "True", "");
    assert!(run(&plant, "why").contains("address"), "kubectl explain documents the fields");
}
