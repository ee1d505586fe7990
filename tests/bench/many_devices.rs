//! A thousand devices in one agent: what a connected one takes while nothing happens, and how soon all are back when the
//! hub was away. Runs programs; reads /proc.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::figure::Figure;
use crate::plant::{Load, Plant, emulator_metric};

/// Figures of this file.
pub(crate) const NAMES: [&str; 3] =
    ["devices_1000_memory_each", "devices_1000_idle_cpu", "devices_1000_back"];

/// One tag each that is read once an hour.
const LOAD: Load<'static> = Load { devices: 1000, tags: 1, scan: "3600s", telemetry: "", buffer: "" };
/// Time until the first messages are sent.
const SETTLE: Duration = Duration::from_secs(12);
/// Time of observing idleness: every device pings once, and files are polled twice.
const IDLE: Duration = Duration::from_secs(60);
/// Time of the hub's outage.
const AWAY: Duration = Duration::from_secs(5);
/// Kilobytes, of all that the process has.
const GOAL_OF_MEMORY: f64 = 50.0;
/// Per cent of a core.
const GOAL_OF_CPU: f64 = 1.0;
/// Seconds: a hub's smallest unit takes 100 new connections a second (ref §12.2), and the first attempts fail.
const GOAL_OF_RETURN: f64 = 20.0;

/// Measures those that are selected.
pub(crate) fn measure(selected: &dyn Fn(&str) -> bool, figures: &mut Vec<Figure>) -> Result<(), Failure> {
    if !NAMES.into_iter().any(selected) {
        return Ok(());
    }
    println!("measuring {}", NAMES.join(", "));
    let started = Instant::now();
    let mut plant = Plant::start(&LOAD)?;
    println!("  all were connected {:.1} s after the start", started.elapsed().as_secs_f64());
    if selected(NAMES[0]) || selected(NAMES[1]) {
        let taken = plant.measure(SETTLE, IDLE)?;
        let each = plant.resident()? as f64 / 1000.0 / LOAD.devices as f64;
        let share = taken.agent.div_duration_f64(taken.time) * 100.0;
        figures.push(Figure::size(NAMES[0], each, "KB", GOAL_OF_MEMORY));
        figures.push(Figure::size(NAMES[1], share, "%", GOAL_OF_CPU));
    }
    if selected(NAMES[2]) {
        figures.push(Figure::size(NAMES[2], until_back(&mut plant)?.as_secs_f64(), "s", GOAL_OF_RETURN));
    }
    Ok(())
}

fn until_back(plant: &mut Plant) -> Result<Duration, Failure> {
    plant.emulator.kill();
    std::thread::sleep(AWAY);
    plant.emulator.restart();
    let back = Instant::now();
    let mut counts = vec![(back, 0)];
    while counts.last().is_none_or(|(_, count)| *count < LOAD.devices as u64) {
        if back.elapsed() > Duration::from_secs(300) {
            return Err(format!("{counts:?}: not all devices came back").into());
        }
        std::thread::sleep(Duration::from_millis(50));
        counts.push((Instant::now(), emulator_metric(&plant.emulator, "devices_connected")?));
    }
    let within_a_second = |&(from, before): &(Instant, u64)| {
        let last = counts.iter().take_while(|(at, _)| *at - from <= Duration::from_secs(1)).last();
        last.map_or(0, |(_, count)| count - before)
    };
    let most = counts.iter().map(within_a_second).max().unwrap_or_default();
    let half = counts.iter().find(|(_, count)| *count >= LOAD.devices as u64 / 2);
    println!(
        "  half of them after {:.1} s; at most {most} within a second",
        half.map_or(0.0, |(at, _)| (*at - back).as_secs_f64())
    );
    Ok(back.elapsed())
}
