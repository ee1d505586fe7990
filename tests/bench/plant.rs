//! The plant that the data path is measured on: an emulator, and an agent with any number of devices whose simulated tags
//! change at every read. TLS on loopback, the durable buffer on the disk. Runs programs; reads /proc.
//!
//! ```text
//! let plant = Plant::start(&Load { devices: 10, tags: 3000, scan: "100ms", telemetry: "interval: 100ms", ..Load::default() })?;
//! let taken = plant.measure(WARM_UP, Duration::from_secs(10))?;
//! taken.acknowledged as f64 / taken.agent.as_secs_f64()
//! ```

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use lanyard_tests::agent::{Agent, Metrics, Setup};
use lanyard_tests::emulator::Emulator;
use lanyard_tests::http;
use lanyard_tests::process::eventually;

use crate::failure::Failure;
use crate::usage;

/// The devices' key.
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Their other one.
pub(crate) const SECONDARY_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
/// Time for connections, caches and buffers to come to their usual size.
pub(crate) const WARM_UP: Duration = Duration::from_secs(3);
/// Time for the start.
const LIMIT: Duration = Duration::from_secs(120);

/// Load of the agent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    /// Number of devices, named `bench-0`, `bench-1`…
    pub(crate) devices: usize,
    /// Of each device: ramps named `Channel1.Device1.Tag00001`…, which change at every read.
    pub(crate) tags: usize,
    /// Between two reads of a tag, such as `100ms`; at least 10 ms.
    pub(crate) scan: &'a str,
    /// The device's `telemetry`, in YAML's flow form without the braces.
    pub(crate) telemetry: &'a str,
    /// The device's `buffer`, likewise.
    pub(crate) buffer: &'a str,
}

impl Default for Load<'_> {
    fn default() -> Self {
        Self { devices: 1, tags: 1, scan: "1s", telemetry: "", buffer: "" }
    }
}

impl Load<'_> {
    /// Returns the agent's configuration with a hub at this port of `localhost`.
    pub(crate) fn config(&self, port: u16) -> String {
        let Self { devices, tags, scan, telemetry, buffer } = self;
        let ramp = |tag| {
            format!(
                "{{name: Channel1.Device1.Tag{tag:05}, source: sim, address: 'RAMP({}, 0, 1000000, 1)', scanInterval: {scan}}}",
                millis(scan)
            )
        };
        let tags: Vec<String> = (0..*tags).map(ramp).collect();
        let tags = tags.join(", ");
        let mut text = "version: 1\ndevices:\n".to_owned();
        for device in 0..*devices {
            let name = device_name(device);
            let written = writeln!(
                text,
                "- {{name: {name}, deviceId: {name}, hub: {{hostname: 'localhost:{port}'}}, sources: [{{name: sim, simulator: {{}}}}], \
                 telemetry: {{{telemetry}}}, buffer: {{{buffer}}}, tags: [{tags}]}}"
            );
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        text
    }
}

/// Converts an interval such as `250ms` or `1s` to milliseconds.
fn millis(interval: &str) -> u64 {
    let (number, unit) =
        interval.strip_suffix("ms").map_or((interval.trim_end_matches('s'), 1000), |n| (n, 1));
    number.parse::<u64>().unwrap_or(1) * unit
}

/// Returns the name of a device, which is also its id.
pub(crate) fn device_name(device: usize) -> String {
    format!("bench-{device}")
}

/// Starts an emulator with the hub `localhost` and so many devices, each with [`KEY`] and [`SECONDARY_KEY`].
pub(crate) fn emulator(devices: usize) -> Emulator {
    Emulator::start(&hub("localhost", devices))
}

/// Returns the configuration of such an emulator, with `host` as the name or address of the hub.
pub(crate) fn hub(host: &str, devices: usize) -> String {
    let device = |device| {
        format!(
            "{{deviceId: {}, authentication: {{symmetricKey: {{primaryKey: '{KEY}', secondaryKey: '{SECONDARY_KEY}'}}}}}}",
            device_name(device)
        )
    };
    let devices: Vec<String> = (0..devices).map(device).collect();
    // Stored messages are not needed here.
    format!(
        "hubs: [{{hostName: '{host}', devices: [{}]}}]\n\
         emulator: {{maxEvents: 1000, maxEventBytes: 16777216, certificateNames: ['{host}']}}\n",
        devices.join(", ")
    )
}

/// A running emulator and a running agent. Both end with its scope.
pub(crate) struct Plant {
    pub(crate) agent: Agent,
    pub(crate) emulator: Emulator,
    agent_id: u32,
    devices: usize,
}

impl Plant {
    /// Starts both, and waits until every device is connected.
    pub(crate) fn start(load: &Load<'_>) -> Result<Self, Failure> {
        Self::with(emulator(load.devices), load)
    }

    /// Starts the agent beside an emulator that runs already, and waits until every device is connected.
    pub(crate) fn with(emulator: Emulator, load: &Load<'_>) -> Result<Self, Failure> {
        let ca = emulator.ca();
        let mut setup = Setup::new(&load.config(emulator.mqtt.port()));
        for device in (0..load.devices).map(device_name) {
            setup = setup.key(&device, KEY).ca(&device, &ca);
        }
        let mut agent = setup.start();
        let agent_id = agent.process().id();
        let plant = Self { agent, emulator, agent_id, devices: load.devices };
        plant.wait_until_connected();
        Ok(plant)
    }

    /// Waits until the emulator has every device connected.
    pub(crate) fn wait_until_connected(&self) {
        eventually("all devices are connected", LIMIT, || {
            let connected = emulator_metric(&self.emulator, "devices_connected").ok()?;
            (connected == self.devices as u64).then_some(())
        });
    }

    /// Reads the current state.
    pub(crate) fn look(&mut self) -> Result<Look, Failure> {
        let metrics = self.agent.metrics();
        Ok(Look {
            at: Instant::now(),
            agent: usage::cpu_time(self.agent_id)?,
            emulator: usage::cpu_time(self.emulator.process().id())?,
            read: sum(&metrics, "events_read_total"),
            acknowledged: sum(&metrics, "events_acknowledged_total"),
            buffered: sum(&metrics, "buffer_events"),
            dropped: sum(&metrics, "events_dropped_total"),
            messages: emulator_metric(&self.emulator, "messages_total")?,
            message_bytes: emulator_metric(&self.emulator, "message_bytes_total")?,
        })
    }

    /// Measures for a time, after a warm-up.
    pub(crate) fn measure(&mut self, warm_up: Duration, time: Duration) -> Result<Taken, Failure> {
        std::thread::sleep(warm_up);
        let before = self.look()?;
        std::thread::sleep(time);
        self.taken_since(&before)
    }

    /// Returns the difference to an earlier state. A lost or dropped event is a failure.
    pub(crate) fn taken_since(&mut self, before: &Look) -> Result<Taken, Failure> {
        let now = self.look()?;
        if now.dropped > 0 || now.read != now.acknowledged + now.buffered {
            return Err(format!("the agent's account does not close: {now:?}").into());
        }
        Ok(now.since(before))
    }

    /// Ends the agent; the emulator goes on.
    pub(crate) fn end_agent(self) -> Emulator {
        self.emulator
    }

    /// Returns the agent's current resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        usage::resident(self.agent_id)
    }
}

/// A moment's counts since the programs were started; of the agent, the sum of its devices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) at: Instant,
    /// CPU time of the agent.
    pub(crate) agent: Duration,
    /// CPU time of the emulator.
    pub(crate) emulator: Duration,
    /// Events that tags produced.
    pub(crate) read: u64,
    /// Events that the hub has acknowledged.
    pub(crate) acknowledged: u64,
    /// Events read and neither acknowledged nor dropped.
    pub(crate) buffered: u64,
    pub(crate) dropped: u64,
    /// Messages that the emulator has stored.
    pub(crate) messages: u64,
    /// Their bodies' bytes.
    pub(crate) message_bytes: u64,
}

impl Look {
    /// Returns the difference to an earlier moment.
    pub(crate) fn since(&self, earlier: &Self) -> Taken {
        Taken {
            time: self.at - earlier.at,
            agent: self.agent.saturating_sub(earlier.agent),
            emulator: self.emulator.saturating_sub(earlier.emulator),
            read: self.read - earlier.read,
            acknowledged: self.acknowledged - earlier.acknowledged,
            messages: self.messages - earlier.messages,
            message_bytes: self.message_bytes - earlier.message_bytes,
        }
    }
}

/// Difference between two moments; fields as in [`Look`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) time: Duration,
    pub(crate) agent: Duration,
    pub(crate) emulator: Duration,
    pub(crate) read: u64,
    pub(crate) acknowledged: u64,
    pub(crate) messages: u64,
    pub(crate) message_bytes: u64,
}

impl Taken {
    /// Returns the acknowledged events for each second of the agent's CPU time.
    pub(crate) fn per_core(&self) -> f64 {
        self.acknowledged as f64 / self.agent.as_secs_f64()
    }

    /// Returns the acknowledged events for each second.
    pub(crate) fn per_second(&self) -> f64 {
        self.acknowledged as f64 / self.time.as_secs_f64()
    }
}

fn sum(metrics: &Metrics, name: &str) -> u64 {
    metrics.sum(&format!("lanyard_{name}{{")) as u64
}

/// Reads a series of the emulator's `/metrics`; `name` is without `lanyard_emulator_`.
pub(crate) fn emulator_metric(emulator: &Emulator, name: &str) -> Result<u64, Failure> {
    let metrics = Metrics(http::get(emulator.web, "/metrics")?.body);
    let value = metrics.get(&format!("lanyard_emulator_{name}"));
    Ok(value.ok_or_else(|| format!("the emulator has no metric {name}"))? as u64)
}
