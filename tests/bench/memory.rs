//! Resident memory of idle programs, as the kernel counts it. Runs programs; reads /proc.

use std::time::Duration;

use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::Process;

use crate::credentials::Failure;
use crate::figure::Figure;
use crate::programs::{Agent, Operator};

/// Time for start-up allocations to be given back before a program counts as idle.
const SETTLE: Duration = Duration::from_secs(15);

/// An agent with one connected device whose single tag never changes.
pub(crate) fn of_agent(name: &'static str) -> Result<Figure, Failure> {
    let emulator = Emulator::start(
        "hubs: [{hostName: localhost, devices: [{deviceId: idle, authentication: {symmetricKey: {primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}}]}]",
    );
    let agent = Agent::start(&emulator)?;
    emulator.wait_for_device("connected", "idle", |device| device["connected"] == true);
    Ok(Figure::size(name, resident(&agent.process)?, "MB", 10.0))
}

/// An operator that leads and has nothing to do.
pub(crate) fn of_operator(name: &'static str) -> Result<Figure, Failure> {
    let operator = Operator::start()?;
    Ok(Figure::size(name, resident(&operator.process)?, "MB", 25.0))
}

fn resident(process: &Process) -> Result<f64, Failure> {
    std::thread::sleep(SETTLE);
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the kernel names no VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024.0 / 1_000_000.0)
}
