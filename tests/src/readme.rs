//! The README's commands, so that tests run them unchanged. Reads files.

use std::process::Command;

use crate::installation::repository;

/// Returns the text of the block that is marked `readme=NAME`.
///
/// # Panics
/// When the README has none.
#[must_use]
pub fn block(name: &str) -> String {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("there is a README");
    let (_, rest) = readme.split_once(&format!("```sh readme={name}\n")).expect("the README has the block");
    rest.split("```").next().unwrap_or_default().to_owned()
}

/// Returns a command that runs a block of one command in the checkout, as the process itself.
#[must_use]
pub fn program(name: &str) -> Command {
    let mut command = Command::new("bash");
    command.current_dir(repository()).args(["-c", &format!("exec {}", block(name))]);
    command
}
