//! The rules of CONTRIBUTING.md that a program can check: language, import circles, type names, commit subjects.
//!
//! Reads the tracked files of the current folder and the history; prints one line for each violation.

mod circles;
mod commits;
mod language;
mod modules;
mod names;
mod paths;
mod tracked;
mod violation;

use crate::violation::Violation;
use std::process::ExitCode;

/// A rule's name, and the function that looks for violations.
type Rule = (&'static str, fn() -> Result<Vec<Violation>, String>);

const RULES: [Rule; 4] = [
    ("language", language::violations),
    ("circles", circles::violations),
    ("names", names::violations),
    ("commits", commits::violations),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| RULES.iter().all(|(rule, _)| rule != name)) {
        let known: Vec<&str> = RULES.iter().map(|(rule, _)| *rule).collect();
        println!("error: no rule {unknown:?}; the rules: {}", known.join(", "));
        return ExitCode::from(2);
    }
    let mut count = 0;
    for (name, rule) in
        RULES.iter().filter(|(rule, _)| wanted.is_empty() || wanted.iter().any(|name| name == rule))
    {
        match rule() {
            Ok(violations) => {
                count += violations.len();
                for violation in violations {
                    println!("{}: {name}: {}", violation.place, violation.text);
                }
            }
            Err(error) => {
                println!("error: cannot check {name}: {error}");
                return ExitCode::from(2);
            }
        }
    }
    if count == 0 {
        return ExitCode::SUCCESS;
    }
    println!("{count} violations of the rules in CONTRIBUTING.md");
    ExitCode::FAILURE
}
