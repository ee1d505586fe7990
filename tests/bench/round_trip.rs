//! Tag changes over one connection whose packets take 75 ms each way. Runs programs in network namespaces.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lanyard_tests::agent::{Agent, Setup};
use lanyard_tests::emulator::Emulator;
use lanyard_tests::network::{Host, Line, Network};

use crate::failure::Failure;
use crate::figure::Figure;
use crate::plant::{self, KEY, Load, WARM_UP, device_name};
use crate::usage;

/// Figure of this file.
pub(crate) const NAME: &str = "round_trip_150_ms_per_second";
/// Changes a second.
const GOAL: f64 = 50_000.0;
/// Each way.
const DELAY: Duration = Duration::from_millis(75);
/// Time of the measurement.
const TIME: Duration = Duration::from_secs(10);

/// Twice the goal is offered.
const LOAD: Load<'_> =
    Load { devices: 1, tags: 1000, scan: "10ms", telemetry: "format: Narrow, interval: 100ms", buffer: "" };

/// Measures it.
pub(crate) fn measure() -> Result<Figure, Failure> {
    let network = Network::new(Line { delay: DELAY, loss: 0.0 });
    let hub = SocketAddr::from((Host::Cloud.address(), 8883));
    let config = plant::hub(&hub.ip().to_string(), LOAD.devices);
    let emulator = network.on(Host::Cloud, || Emulator::start_at(&config, &hub.to_string()));
    let dialled = Instant::now();
    network.on(Host::Plant, || TcpStream::connect(hub))?;
    println!("  a connection takes {:.0} ms to be made", dialled.elapsed().as_secs_f64() * 1000.0);

    let device = device_name(0);
    let setup = Setup::new(&LOAD.config(hub.port()).replace("localhost", &hub.ip().to_string()));
    let setup = setup.key(&device, KEY).ca(&device, &emulator.ca());
    let mut agent = network.on(Host::Plant, || setup.start());
    network.on(Host::Plant, || agent.wait_for_reason(&device, "Connected"));
    std::thread::sleep(WARM_UP);
    let before = look(&network, &mut agent)?;
    std::thread::sleep(TIME);
    let after = look(&network, &mut agent)?;

    let time = after.at - before.at;
    let (acknowledged, messages) =
        (after.acknowledged - before.acknowledged, after.messages - before.messages);
    println!(
        "  {:.0} events a message, {:.0} messages a second, latency {:.0} ms; {:.2} cores; {:.0} events waited at last, {:.0} before",
        acknowledged / messages,
        messages / time.as_secs_f64(),
        (after.latency - before.latency) / messages * 1000.0,
        (after.cpu - before.cpu).div_duration_f64(time),
        after.buffered,
        before.buffered,
    );
    Ok(Figure::at_least(NAME, acknowledged / time.as_secs_f64(), "/s", GOAL))
}

/// A moment's counts.
struct RoundTripState {
    at: Instant,
    cpu: Duration,
    acknowledged: f64,
    messages: f64,
    buffered: f64,
    /// Seconds from handing over a message to its acknowledgement, summed up over all messages.
    latency: f64,
}

fn look(network: &Network, agent: &mut Agent) -> Result<RoundTripState, Failure> {
    let cpu = usage::cpu_time(agent.process().id())?;
    let metrics = network.on(Host::Plant, || agent.metrics());
    Ok(RoundTripState {
        at: Instant::now(),
        cpu,
        acknowledged: metrics.sum("lanyard_events_acknowledged_total{"),
        messages: metrics.sum("lanyard_messages_published_total{"),
        buffered: metrics.sum("lanyard_buffer_events{"),
        latency: metrics.sum("lanyard_publish_latency_seconds_sum{"),
    })
}
