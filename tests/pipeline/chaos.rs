//! Shared parts of the chaos tests: devices under load with a disturbed connection, and the final accounting. After
//! any fault the hub has every event, in order for each tag without redeliveries, and the counts balance.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lanyard_tests::agent::{Agent, Metrics, Setup};
use lanyard_tests::emulator::Emulator;
use lanyard_tests::network::{Host, Network};
use lanyard_tests::process::eventually;
use lanyard_tests::proxy::{Fate, Proxy};
use serde_json::Value;

use crate::fixture::{PRIMARY, bodies, device, document, messages};

/// Long enough for the longest wait between two attempts to connect (100 s), and for a backlog on a busy machine.
pub(crate) const CHAOS_LIMIT: Duration = Duration::from_secs(400);

/// Devices with ramps that count their scans.
pub(crate) struct Load {
    pub(crate) devices: usize,
    /// Of each device.
    pub(crate) tags: usize,
    /// Milliseconds from one scan to the next.
    pub(crate) scan: u32,
    pub(crate) telemetry: &'static str,
}

impl Load {
    /// Returns the agent's configuration; each device connects to its own port. Without tags the load has ended.
    fn document(&self, host: &str, ports: &[u16], with_tags: bool) -> String {
        let ramp = |tag| {
            let scan = self.scan;
            format!(
                "{{name: T{tag}, source: sim, address: 'RAMP({scan}, 0, 1000000, 1)', scanInterval: {scan}ms}}"
            )
        };
        let tags: Vec<String> = (0..self.tags).filter(|_| with_tags).map(ramp).collect();
        let devices = self
            .ids()
            .zip(ports)
            .map(|(id, port)| device(&id, &id, &format!("{host}:{port}"), &tags.join(", "), self.telemetry));
        document(&devices.collect::<Vec<_>>())
    }

    fn ids(&self) -> impl Iterator<Item = String> {
        (0..self.devices).map(|number| format!("d{number}"))
    }
}

/// The programs, and what lies between them.
pub(crate) struct Chaos {
    pub(crate) agent: Agent,
    pub(crate) emulator: Emulator,
    /// One for each device, when there are any.
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) network: Option<Network>,
    load: Load,
    host: String,
    ports: Vec<u16>,
    /// Minimum number of read events of each device, for each ended run of the agent.
    ended: Vec<BTreeMap<String, u64>>,
}

impl Chaos {
    /// Starts devices that connect directly to the hub.
    pub(crate) fn straight(load: Load) -> Self {
        let emulator = Emulator::start(&hub(&load, "localhost"));
        let ports = vec![emulator.mqtt.port(); load.devices];
        Self::start(load, emulator, Vec::new(), ports)
    }

    /// Starts devices that reach the hub through a proxy each; `fates` are those of a device's connections.
    pub(crate) fn behind_proxies(load: Load, mut fates: impl FnMut() -> Vec<Fate>) -> Self {
        let emulator = Emulator::start(&hub(&load, "localhost"));
        let proxies: Vec<_> = (0..load.devices).map(|_| Proxy::start(emulator.mqtt, fates())).collect();
        let ports = proxies.iter().map(|proxy| proxy.address.port()).collect();
        Self::start(load, emulator, proxies, ports)
    }

    fn start(load: Load, emulator: Emulator, proxies: Vec<Proxy>, ports: Vec<u16>) -> Self {
        let host = "localhost".to_owned();
        let agent = setup(&load, &emulator, &load.document(&host, &ports, true)).start();
        Self { agent, emulator, proxies, network: None, load, host, ports, ended: Vec::new() }
    }

    /// Starts devices at the plant's end of a line, with the hub at the other.
    pub(crate) fn over(network: Network, load: Load) -> Self {
        let host = Host::Cloud.address().to_string();
        let emulator =
            network.on(Host::Cloud, || Emulator::start_at(&hub(&load, &host), &format!("{host}:8883")));
        let ports = vec![8883; load.devices];
        let setup = setup(&load, &emulator, &load.document(&host, &ports, true));
        let agent = network.on(Host::Plant, || setup.start());
        let (proxies, network, ended) = (Vec::new(), Some(network), Vec::new());
        Self { agent, emulator, proxies, network, load, host, ports, ended }
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.load.ids().collect()
    }

    /// Returns the agent's counters.
    pub(crate) fn metrics(&self) -> Counts {
        let scrape = || self.agent.metrics();
        Counts(self.network.as_ref().map_or_else(scrape, |network| network.on(Host::Plant, scrape)))
    }

    /// Returns the events of a device at the hub.
    fn events(&self, id: &str) -> Vec<Value> {
        let look = || self.emulator.events(Some(id));
        self.network.as_ref().map_or_else(look, |network| network.on(Host::Cloud, look))
    }

    /// Lets time pass, and checks the event counts repeatedly meanwhile.
    pub(crate) fn pass(&self, time: Duration) {
        let started = Instant::now();
        while started.elapsed() < time {
            self.metrics().assert_balanced(&self.ids());
            std::thread::sleep(Duration::from_millis(500).min(time));
        }
    }

    /// Waits for a condition of every device's counts, and checks meanwhile that each event is counted once.
    pub(crate) fn await_all(&self, what: &str, condition: impl Fn(&Counts, &str) -> bool) {
        eventually(what, CHAOS_LIMIT, || {
            std::thread::sleep(Duration::from_millis(100));
            let counts = self.metrics();
            counts.assert_balanced(&self.ids());
            self.ids().iter().all(|id| condition(&counts, id)).then_some(())
        });
    }

    /// Waits until every tag was read in this life of the agent.
    pub(crate) fn await_load(&self) {
        let scans = 2 * self.load.tags as u64;
        self.await_all("every device reads", |counts, id| counts.read_in_this_life(id) >= scans);
    }

    /// Waits until everything that was to happen to connections has happened.
    pub(crate) fn await_fates(&self) {
        let left = || self.proxies.iter().map(Proxy::fates_left).sum::<usize>();
        self.await_all("every connection met its fate", |_, _| left() == 0);
    }

    /// Kills the agent (SIGKILL) and starts it again.
    pub(crate) fn crash(&mut self) {
        let counts = self.metrics();
        let read = self.load.ids().map(|id| (id.clone(), counts.read_in_this_life(&id)));
        self.ended.push(read.collect());
        self.agent.crash();
    }

    /// Ends the load, waits until the hub has acknowledged everything, and compares what the hub has with what was read.
    /// Gives back how many messages came more than once.
    pub(crate) fn close_books(&self) -> usize {
        self.agent.setup.configure(&self.load.document(&self.host, &self.ports, false));
        let (counts, events) = eventually("everything read is acknowledged", CHAOS_LIMIT, || {
            std::thread::sleep(Duration::from_millis(300));
            let counts = self.metrics();
            counts.assert_balanced(&self.ids());
            if self.load.ids().any(|id| counts.of(&id, "buffer_events") > 0) {
                return None;
            }
            let events: Vec<_> = self.load.ids().map(|id| self.events(&id)).collect();
            // If tags were still read meanwhile, then more came than was counted.
            let later = self.metrics();
            let read =
                |counts: &Counts| self.load.ids().map(|id| counts.of(&id, "events_read_total")).sum::<u64>();
            (read(&counts) == read(&later)).then_some((counts, events))
        });
        let compare = |(id, events): (String, &Vec<Value>)| self.compare(&counts, &id, events);
        let repeated = self.load.ids().zip(&events).map(compare).sum();
        println!(
            "{} events of {} devices arrived, {repeated} messages more than once",
            events.iter().map(|events| by_tag(events).values().map(Vec::len).sum::<usize>()).sum::<usize>(),
            self.load.devices
        );
        repeated
    }

    fn compare(&self, counts: &Counts, id: &str, events: &[Value]) -> usize {
        let bodies = bodies(events);
        for (message, bodies) in &bodies {
            let same = bodies.iter().all(|body| *body == bodies[0]);
            assert!(same, "{id}: {message} is the id of different messages: {bodies:?}");
        }
        // How many events there are of each life, over all tags.
        let mut arrived = vec![0; self.ended.len() + 1];
        let tags = by_tag(events);
        assert_eq!(tags.len(), self.load.tags, "{id}: {:?}", tags.keys().collect::<BTreeSet<_>>());
        for (tag, values) in tags {
            let mut life = None;
            let mut expected = 0;
            for &value in &values {
                // The ramp begins at 0 in every life of the agent.
                if value == 0 {
                    life = Some(life.map_or(0, |life| life + 1));
                    expected = 0;
                }
                assert_eq!(value, expected, "{id} {tag}: a value is missing, or out of order: {values:?}");
                expected += 1;
                arrived[life.expect("values begin with 0")] += 1;
            }
            assert_eq!(life, Some(self.ended.len()), "{id} {tag}: a life of the agent is missing");
        }
        for (life, ended) in self.ended.iter().enumerate() {
            assert!(arrived[life] >= ended[id], "{id}: {} of {} in life {life}", arrived[life], ended[id]);
        }
        assert_eq!(arrived.last(), Some(&counts.read_in_this_life(id)), "{id}: the hub has what was read");
        bodies.values().filter(|bodies| bodies.len() > 1).count()
    }
}

/// Returns the values of every tag, in the order in which they came, without redeliveries.
fn by_tag(events: &[Value]) -> BTreeMap<&str, Vec<i64>> {
    let mut tags: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for message in messages(events) {
        for value in message["body"]["values"].as_array().expect("values") {
            let tag = value["id"].as_str().expect("a name");
            tags.entry(tag).or_default().push(value["v"].as_i64().expect("a whole number"));
        }
    }
    tags
}

/// A scrape of the agent.
pub(crate) struct Counts(Metrics);

impl Counts {
    /// Returns one of a device's series, or the sum of those with more labels.
    pub(crate) fn of(&self, id: &str, name: &str) -> u64 {
        self.0.sum(&format!("lanyard_{name}{{device=\"{id}\"")) as u64
    }

    /// Returns the events read in this run; events that an earlier run left in the buffer count as read again.
    fn read_in_this_life(&self, id: &str) -> u64 {
        self.of(id, "events_read_total") - self.of(id, "events_recovered_total")
    }

    /// Checks that read = acknowledged + buffered + dropped, with nothing dropped, at this very moment.
    fn assert_balanced(&self, ids: &[String]) {
        for id in ids {
            let [read, acknowledged, buffered, dropped] =
                ["events_read_total", "events_acknowledged_total", "buffer_events", "events_dropped_total"]
                    .map(|name| self.of(id, name));
            assert_eq!((read, dropped), (acknowledged + buffered, 0), "{id}");
        }
    }
}

fn hub(load: &Load, host: &str) -> String {
    let device = |id| {
        format!(
            "{{deviceId: {id}, authentication: {{type: sas, symmetricKey: {{primaryKey: '{PRIMARY}', secondaryKey: '{PRIMARY}'}}}}}}"
        )
    };
    let devices: Vec<String> = load.ids().map(device).collect();
    format!("hubs: [{{hostName: '{host}', devices: [{}]}}]\n", devices.join(", "))
}

fn setup(load: &Load, emulator: &Emulator, config: &str) -> Setup {
    let ca = emulator.ca();
    load.ids().fold(Setup::new(config), |setup, id| setup.key(&id, PRIMARY).ca(&id, &ca))
}
