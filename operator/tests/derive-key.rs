//! Level: program. `lanyard-operator derive-key` as people call it.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test itself does")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn derive(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lanyard-operator"))
        .arg("derive-key")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends at once does not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Reference, derivation vector 1: the one that Microsoft publishes.
const GROUP: &str =
    "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
const DEVICE: &str = "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6";
const KEY: &str = "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=\n";

#[test]
fn the_key_comes_from_standard_input_or_a_file() {
    for arguments in [vec!["--device-id", DEVICE], vec!["--device-id", DEVICE, "--group-key-file", "-"]] {
        let output = derive(&arguments, &format!("{GROUP}\n"));
        assert!(output.status.success());
        assert_eq!((String::from_utf8(output.stdout).unwrap().as_str(), output.stderr.len()), (KEY, 0));
    }
    let file = std::env::temp_dir().join(format!("lanyard-group-key-{}", std::process::id()));
    std::fs::write(&file, format!("{GROUP}\r\n")).unwrap();
    let output = derive(&["--device-id", DEVICE, "--group-key-file", file.to_str().unwrap()], "");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), KEY);
}

#[test]
fn errors_do_not_contain_the_key() {
    for (arguments, input, words) in [
        (vec!["--device-id", "a"], "", "standard input is empty"),
        (vec!["--device-id", "a"], &GROUP[1..], "the key is not base64"),
        (vec!["--device-id", "a b"], GROUP, "--device-id \"a b\""),
        (vec!["--device-id", "a", "--group-key-file", "/nowhere"], "", "/nowhere: cannot read it"),
        (vec!["--device-id", "a", "--group-key", GROUP], "", "--group-key-file"),
        (vec![], GROUP, "--device-id"),
    ] {
        let output = derive(&arguments, input);
        let reported = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{reported}");
        assert!(reported.contains(words) && !reported.contains(&GROUP[1..20]), "{reported}");
    }
    let output = derive(&["--help"], "");
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("derive-key --device-id press-17 --group-key-file group.key")
    );
}
