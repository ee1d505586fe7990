//! The benchmarks: each figure beside its floor in the same run, or against its goal where it is a size.
//!
//! `cargo bench -p lanyard-tests` measures all, `-- NAME…` those whose names contain one of the words; with
//! `--needs-cluster` it only says whether a cluster is needed for that.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::print_stdout, reason = "the table is the product")]

mod catch_up;
mod failure;
mod credentials;
mod figure;
mod floor;
#[allow(clippy::unwrap_used, clippy::panic, reason = "without the SDKs there is no figure")]
#[path = "../sdk/install.rs"]
mod install;
mod many_credentials;
mod many_devices;
mod memory;
mod peer_files;
mod peers;
mod plant;
mod programs;
mod round_trip;
mod telegraf;
mod throughput;
mod usage;

use std::process::ExitCode;

use credentials::{Attestation, CredentialsCase};
use failure::Failure;
use figure::Figure;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == floor::WORD
    {
        return floor::run(rest).map_or_else(|error| failed(error.as_ref()), |()| ExitCode::SUCCESS);
    }
    // cargo adds --bench
    let names: Vec<&String> = arguments.iter().filter(|word| !word.starts_with("--")).collect();
    let selected = |name: &str| names.is_empty() || names.iter().any(|word| name.contains(word.as_str()));
    if arguments.iter().any(|word| word == "--needs-cluster") {
        println!("{}", on_a_cluster().any(selected));
        return ExitCode::SUCCESS;
    }
    match run(&selected).await {
        Ok(figures) if figures.is_empty() => {
            let all: Vec<&str> = without_cluster().chain(on_a_cluster()).collect();
            println!("no figure's name contains {names:?}; there are {}", all.join(", "));
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

/// The figures of credentials.
const CREDENTIALS: [CredentialsCase; 3] = [
    CredentialsCase {
        name: "credentials_50_devices",
        devices: 50,
        attestation: Attestation::SymmetricKey,
        agents: true,
    },
    CredentialsCase {
        name: "credentials_1000_devices_key",
        devices: 1000,
        attestation: Attestation::SymmetricKey,
        agents: false,
    },
    CredentialsCase {
        name: "credentials_1000_devices_x509",
        devices: 1000,
        attestation: Attestation::X509,
        agents: false,
    },
];

/// Returns the names of the figures that need nothing but this machine.
fn without_cluster() -> impl Iterator<Item = &'static str> {
    memory::AGENT
        .into_iter()
        .chain(throughput::names())
        .chain(peers::names())
        .chain(many_devices::NAMES)
        .chain([round_trip::NAME, catch_up::NAME])
}

/// Returns the names of the operator's figures.
fn on_a_cluster() -> impl Iterator<Item = &'static str> {
    std::iter::once(memory::OPERATOR)
        .chain(CREDENTIALS.iter().map(|case| case.name))
        .chain(many_credentials::NAMES)
}

async fn run(selected: &dyn Fn(&str) -> bool) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    memory::of_agent(selected, &mut figures)?;
    throughput::measure(selected, &mut figures)?;
    peers::measure(selected, &mut figures)?;
    many_devices::measure(selected, &mut figures)?;
    if selected(round_trip::NAME) {
        println!("measuring {}", round_trip::NAME);
        figures.push(round_trip::measure()?);
    }
    if selected(catch_up::NAME) {
        figures.push(catch_up::measure()?);
    }
    if on_a_cluster().any(selected) {
        let client = lanyard_tests::kubernetes::connect().await;
        if selected(memory::OPERATOR) {
            println!("measuring {}", memory::OPERATOR);
            figures.push(memory::of_operator()?);
        }
        for case in CREDENTIALS.into_iter().filter(|case| selected(case.name)) {
            println!("measuring {}", case.name);
            let operator = programs::Operator::start()?;
            figures.push(credentials::measure(&client, operator, case).await?);
        }
        many_credentials::measure(&client, selected, &mut figures).await?;
    }
    Ok(figures)
}
