//! The benchmarks: each figure beside its floor in the same run, or against its goal where it is a size.
//!
//! `cargo bench -p lanyard-tests` measures all, `-- NAME…` those whose names contain one of the words.

#![allow(clippy::print_stdout, reason = "the table is the product")]

mod credentials;
mod figure;
mod memory;
mod programs;

use std::process::ExitCode;

use credentials::{Attestation, Case, Failure};
use figure::Figure;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // cargo adds --bench
    let names: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match run(&names).await {
        Ok(figures) if figures.is_empty() => {
            println!("no figure's name contains {names:?}; there are {}", ALL.join(", "));
            ExitCode::FAILURE
        }
        Ok(figures) => {
            let file = lanyard_tests::installation::repository().join("target/bench.json");
            match figure::report(&figures, &file) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&error),
            }
        }
        Err(error) => failed(error.as_ref()),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    println!("error: {error}");
    ExitCode::FAILURE
}

const ALL: [&str; 5] = [
    "agent_idle_memory",
    "operator_idle_memory",
    "credentials_50_devices",
    "credentials_1000_devices_key",
    "credentials_1000_devices_x509",
];

/// The figures of credentials.
const CREDENTIALS: [Case; 3] = [
    Case { name: ALL[2], devices: 50, attestation: Attestation::SymmetricKey, agents: true },
    Case { name: ALL[3], devices: 1000, attestation: Attestation::SymmetricKey, agents: false },
    Case { name: ALL[4], devices: 1000, attestation: Attestation::X509, agents: false },
];

async fn run(names: &[String]) -> Result<Vec<Figure>, Failure> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|word| name.contains(word.as_str()));
    let mut figures = Vec::new();
    if wanted(ALL[0]) {
        println!("measuring {}", ALL[0]);
        figures.push(memory::of_agent(ALL[0])?);
    }
    if ALL[1..].iter().any(|name| wanted(name)) {
        let client = lanyard_tests::kubernetes::connect().await;
        if wanted(ALL[1]) {
            println!("measuring {}", ALL[1]);
            figures.push(memory::of_operator(ALL[1])?);
        }
        for case in CREDENTIALS.into_iter().filter(|case| wanted(case.name)) {
            println!("measuring {}", case.name);
            let operator = programs::Operator::start()?;
            figures.push(credentials::measure(&client, operator, case).await?);
        }
    }
    Ok(figures)
}
