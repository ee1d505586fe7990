//! Tag changes that the agent brings to the hub for each second of its CPU time, QoS 1, buffer on the disk, beside the
//! floor. Runs programs.

use std::time::Duration;

use crate::failure::Failure;
use crate::figure::Figure;
use crate::floor;
use crate::plant::{Load, Plant, WARM_UP};

/// Time of one measurement.
const TIME: Duration = Duration::from_secs(10);
/// And the floor's.
const FLOOR_TIME: Duration = Duration::from_secs(5);
/// Changes a second for each core.
const GOAL: f64 = 250_000.0;
/// Changes a second that an agent keeps up with.
const GOAL_OF_A_SECOND: f64 = 100_000.0;
/// Minimum share of the reference's rate.
const GOAL_OF_FLOOR: f64 = 0.5;

/// One format with so many devices.
struct Case {
    /// Per core, per second, and beside the floor.
    names: [&'static str; 3],
    load: Load<'static>,
}

/// Creates a case with a million and a half changes a second, from as many tags as a configuration can have. A Wide
/// message has all tags of a device, as far as they fit into one, every time they are read.
const fn case(names: [&'static str; 3], telemetry: &'static str, devices: usize) -> Case {
    let (tags, scan) = (15_000 / devices, "10ms");
    Case { names, load: Load { devices, tags, scan, telemetry, buffer: "" } }
}

const NARROW: &str = "format: Narrow, interval: 100ms";
const WIDE: &str = "format: Wide, interval: 10ms";

const CASES: [Case; 6] = [
    case(["narrow_1_device_per_core", "narrow_1_device_per_second", "narrow_1_device_to_floor"], NARROW, 1),
    case(
        ["narrow_10_devices_per_core", "narrow_10_devices_per_second", "narrow_10_devices_to_floor"],
        NARROW,
        10,
    ),
    case(
        ["narrow_100_devices_per_core", "narrow_100_devices_per_second", "narrow_100_devices_to_floor"],
        NARROW,
        100,
    ),
    case(["wide_1_device_per_core", "wide_1_device_per_second", "wide_1_device_to_floor"], WIDE, 1),
    case(["wide_10_devices_per_core", "wide_10_devices_per_second", "wide_10_devices_to_floor"], WIDE, 10),
    case(
        ["wide_100_devices_per_core", "wide_100_devices_per_second", "wide_100_devices_to_floor"],
        WIDE,
        100,
    ),
];

/// Returns the names of all figures of this file.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().flat_map(|case| case.names)
}

/// Measures those that are selected, three at a time.
pub(crate) fn measure(selected: &dyn Fn(&str) -> bool, figures: &mut Vec<Figure>) -> Result<(), Failure> {
    for Case { names, load } in CASES.iter().filter(|case| case.names.iter().any(|name| selected(name))) {
        println!("measuring {}", names.join(", "));
        let mut plant = Plant::start(load)?;
        let taken = plant.measure(WARM_UP, TIME)?;
        let events = taken.acknowledged as f64 / taken.messages as f64;
        let bytes = taken.message_bytes as f64 / taken.messages as f64;
        println!(
            "  messages of {events:.0} events and {bytes:.0} bytes; CPU of the agent and the emulator: {:.2} and {:.2} cores",
            taken.agent.div_duration_f64(taken.time),
            taken.emulator.div_duration_f64(taken.time)
        );
        let mut emulator = plant.end_agent();
        let floor =
            events * floor::messages_per_core(&mut emulator, load.devices, bytes as usize, FLOOR_TIME)?;
        figures.push(Figure::at_least(names[0], taken.per_core(), "/s", GOAL));
        figures.push(Figure::at_least(names[1], taken.per_second(), "/s", GOAL_OF_A_SECOND));
        figures.push(Figure::over(names[2], taken.per_core(), "/s", floor, GOAL_OF_FLOOR));
    }
    Ok(())
}
