//! The benchmarks: each figure beside its floor in the same run, or against its goal where it is a size.
//!
//! `cargo bench -p lanyard-tests` measures all, `-- NAME…` those whose names contain one of the words.

#![allow(clippy::print_stdout, reason = "the table is the product")]

mod credentials;
mod figure;
mod memory;
mod programs;

use std::process::ExitCode;

use credentials::Failure;
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

const ALL: [&str; 3] = ["agent_idle_memory", "operator_idle_memory", "credentials_50_devices"];

async fn run(names: &[String]) -> Result<Vec<Figure>, Failure> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|word| name.contains(word.as_str()));
    let mut figures = Vec::new();
    if wanted(ALL[0]) {
        println!("measuring {}", ALL[0]);
        figures.push(memory::of_agent(ALL[0])?);
    }
    if wanted(ALL[1]) || wanted(ALL[2]) {
        let client = lanyard_tests::kubernetes::connect().await;
        if wanted(ALL[1]) {
            println!("measuring {}", ALL[1]);
            figures.push(memory::of_operator(ALL[1])?);
        }
        if wanted(ALL[2]) {
            println!("measuring {}", ALL[2]);
            figures.push(credentials::measure(&client, programs::Operator::start()?, 50).await?);
        }
    }
    Ok(figures)
}
