//! Rate of sending a backlog after an outage, while tags continue to change. Runs programs.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::figure::Figure;
use crate::plant::{Load, Plant, SECONDARY_KEY, device_name};

/// The figure.
pub(crate) const NAME: &str = "catch_up_10_million";

/// Events that wait when the hub comes back.
const BACKLOG: u64 = 10_000_000;
/// While the hub is away: half a million changes a second, so that the outage is short.
const OUTAGE: Load<'static> =
    Load { devices: 1, tags: 5000, scan: "10ms", telemetry: TELEMETRY, buffer: BUFFER };
/// From then on: 50,000 changes a second.
const LIVE: Load<'static> = Load { tags: 500, ..OUTAGE };
const TELEMETRY: &str = "interval: 100ms";
const BUFFER: &str = "capacity: 1Gi";
/// Ratio of the send rate to the growth of the backlog.
const GOAL: f64 = 5.0;
const LIMIT: Duration = Duration::from_secs(240);

/// Measures how many events of the backlog the hub receives each second until it has all of it, beside the rate of the
/// live changes meanwhile.
pub(crate) fn measure() -> Result<Figure, Failure> {
    println!("measuring {NAME}");
    let mut plant = Plant::start(&LIVE)?;
    plant.emulator.kill();
    let port = plant.emulator.mqtt.port();
    plant.agent.setup.configure(&OUTAGE.config(port));
    wait_until(|| Ok(buffered(&plant) >= BACKLOG))?;
    plant.agent.setup.configure(&LIVE.config(port));
    plant.emulator.restart();
    // Another credential ends the wait for the next attempt to connect.
    plant.agent.setup.set_key(&device_name(0), SECONDARY_KEY);
    plant.wait_until_connected();

    let before = plant.look()?;
    wait_until(|| Ok(plant.look()?.acknowledged - before.acknowledged >= before.buffered))?;
    let taken = plant.taken_since(&before)?;
    let live = taken.read as f64 / taken.time.as_secs_f64();
    let drained = before.buffered as f64 / taken.time.as_secs_f64();
    println!(
        "  {} events in {:.1} s, and {live:.0} a second came in; CPU of the agent: {:.2} cores",
        before.buffered,
        taken.time.as_secs_f64(),
        taken.agent.div_duration_f64(taken.time)
    );
    Ok(Figure::over(NAME, drained, "/s", live, GOAL))
}

fn buffered(plant: &Plant) -> u64 {
    plant.agent.metrics().sum("lanyard_buffer_events{") as u64
}

fn wait_until(mut done: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let started = Instant::now();
    while !done()? {
        if started.elapsed() > LIMIT {
            return Err(format!("{NAME} takes longer than {} s", LIMIT.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
