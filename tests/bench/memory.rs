//! Resident memory of programs, idle and at work, as the kernel counts it. Runs programs; reads /proc.

use std::time::Duration;

use crate::failure::Failure;
use crate::figure::Figure;
use crate::plant::{Load, Plant, WARM_UP};
use crate::programs::Operator;
use crate::usage;

/// Time for start-up allocations to be given back before a program counts as idle.
const SETTLE: Duration = Duration::from_secs(15);
/// Time of observing a working agent.
const TIME: Duration = Duration::from_secs(15);

/// Of an agent. Idle has one tag that changes once an hour; the others change ten times a second.
pub(crate) const AGENT: [&str; 3] = ["agent_idle_memory", "agent_memory_at_10000", "agent_memory_at_100000"];
/// Of an operator that leads and has nothing to do.
pub(crate) const OPERATOR: &str = "operator_idle_memory";

const IDLE: Load<'static> = Load { devices: 1, tags: 1, scan: "3600s", telemetry: "", buffer: "" };
const AT_10_000: Load<'static> = Load { tags: 1000, scan: "100ms", telemetry: "interval: 1s", ..IDLE };
const AT_100_000: Load<'static> = Load { tags: 10_000, ..AT_10_000 };

/// Measures an agent, where it is selected.
pub(crate) fn of_agent(selected: &dyn Fn(&str) -> bool, figures: &mut Vec<Figure>) -> Result<(), Failure> {
    let cases = AGENT.into_iter().zip([(IDLE, 10.0), (AT_10_000, 25.0), (AT_100_000, 60.0)]);
    for (name, (load, goal)) in cases.filter(|(name, _)| selected(name)) {
        println!("measuring {name}");
        let mut plant = Plant::start(&load)?;
        let bytes = if load.tags == 1 { idle(&plant)? } else { at_work(&mut plant)? };
        figures.push(Figure::size(name, megabytes(bytes), "MB", goal));
    }
    Ok(())
}

fn idle(plant: &Plant) -> Result<u64, Failure> {
    std::thread::sleep(SETTLE);
    plant.resident()
}

/// Returns the agent's largest resident memory while it works, in bytes. A lost or dropped event is a failure.
fn at_work(plant: &mut Plant) -> Result<u64, Failure> {
    std::thread::sleep(WARM_UP);
    let (before, mut most) = (plant.look()?, 0);
    while before.at.elapsed() < TIME {
        most = most.max(plant.resident()?);
        std::thread::sleep(Duration::from_millis(20));
    }
    let taken = plant.taken_since(&before)?;
    println!("  {:.0} changes a second", taken.per_second());
    Ok(most)
}

/// Measures an operator.
pub(crate) fn of_operator() -> Result<Figure, Failure> {
    let operator = Operator::start()?;
    std::thread::sleep(SETTLE);
    Ok(Figure::size(OPERATOR, megabytes(usage::resident(operator.process.id())?), "MB", 25.0))
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
