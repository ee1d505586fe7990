//! Two hosts with a long or bad line between them: network namespaces of their own, and this process carrying every
//! packet from one to the other, with a delay and a loss that the test chooses. TCP, its windows and its losses are the
//! kernel's own. Linux's netem would do the same, but many kernels come without it. Needs root and `ip`.
//!
//! ```text
//! cloud 198.18.0.1 ── tun ◄─── packets, later ───► tun ── 198.18.0.2 plant
//! ```

use parking_lot::Mutex;
use std::fs::File;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use tun_rs::{DeviceBuilder, SyncDevice};

/// Both ends' name of the line.
const DEVICE: &str = "line0";
/// The largest packet.
const MTU: usize = 1500;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Effects of the line on packets, in each direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Delay of a packet.
    pub delay: Duration,
    /// The share of packets that is lost, from 0 to 1.
    pub loss: f64,
}

/// The end of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Side of the hub.
    Cloud,
    /// Side of the agent.
    Plant,
}

impl Host {
    /// Returns its address on the line, from the network for benchmarks (RFC 2544).
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::Cloud => Ipv4Addr::new(198, 18, 0, 1),
            Self::Plant => Ipv4Addr::new(198, 18, 0, 2),
        }
    }
}

/// Two hosts and their line. They are gone with its scope; what runs there should be gone before.
#[derive(Debug)]
pub struct Network {
    cloud: NetworkNamespace,
    plant: NetworkNamespace,
    line: Arc<Mutex<Line>>,
    carriers: Vec<JoinHandle<()>>,
}

impl Network {
    /// Creates two hosts and the line between them.
    ///
    /// # Panics
    /// When they cannot be made, which takes root.
    #[must_use]
    pub fn new(line: Line) -> Self {
        let line = Arc::new(Mutex::new(line));
        let (cloud, plant) = (NetworkNamespace::new(Host::Cloud), NetworkNamespace::new(Host::Plant));
        let [cloud_end, plant_end] = [&cloud, &plant].map(|host| Arc::new(host.device()));
        let ways = [carry(&cloud_end, &plant_end, &line), carry(&plant_end, &cloud_end, &line)];
        Self { cloud, plant, line, carriers: ways.into_iter().flatten().collect() }
    }

    /// Makes the line another one, for packets that are sent from now on.
    pub fn set(&self, line: Line) {
        *self.line.lock() = line;
    }

    /// Runs something on a host: the sockets that this thread opens meanwhile and the programs that it starts stay there.
    pub fn on<T>(&self, host: Host, run: impl FnOnce() -> T) -> T {
        let namespace = match host {
            Host::Cloud => &self.cloud,
            Host::Plant => &self.plant,
        };
        namespace.within(run)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.cloud, &self.plant] {
            // Whoever reads packets from it hears of that, and ends.
            let _ = Command::new("ip").args(["-n", &namespace.name, "link", "delete", DEVICE]).output();
        }
        for carrier in self.carriers.drain(..) {
            // One that failed has said so.
            let _ = carrier.join();
        }
    }
}

#[derive(Debug)]
struct NetworkNamespace {
    name: String,
    host: Host,
}

impl NetworkNamespace {
    fn new(host: Host) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lanyard-{}-{number}", std::process::id());
        // What a process of the same id left behind when it was killed.
        let _ = Command::new("ip").args(["netns", "delete", &name]).output();
        ip(&["netns", "add", &name]);
        ip(&["-n", &name, "link", "set", "lo", "up"]);
        Self { name, host }
    }

    fn device(&self) -> SyncDevice {
        let device = self.within(|| DeviceBuilder::new().name(DEVICE).build_sync());
        let device = device.expect("root may make devices of a kernel with CONFIG_TUN");
        let address = format!("{}/30", self.host.address());
        ip(&["-n", &self.name, "address", "replace", &address, "dev", DEVICE]);
        ip(&["-n", &self.name, "link", "set", DEVICE, "mtu", &MTU.to_string(), "txqueuelen", "10000", "up"]);
        device
    }

    fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        let here = File::open("/proc/thread-self/ns/net").expect("Linux has network namespaces");
        let there = File::open(format!("/run/netns/{}", self.name)).expect("it was made above");
        enter(&there);
        let _back = Back(here);
        run()
    }
}

impl Drop for NetworkNamespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).output();
    }
}

/// Guard that returns the thread to its namespace, also after a panic.
struct Back(File);

impl Drop for Back {
    fn drop(&mut self) {
        enter(&self.0);
    }
}

fn enter(namespace: &File) {
    setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter network namespaces");
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).output().expect("ip is installed (package iproute2)");
    assert!(done.status.success(), "ip {arguments:?} failed: {}", String::from_utf8_lossy(&done.stderr));
}

/// Starts the two threads of one direction: one takes packets as they come, the other hands them over when they are
/// due.
fn carry(from: &Arc<SyncDevice>, to: &Arc<SyncDevice>, line: &Arc<Mutex<Line>>) -> [JoinHandle<()>; 2] {
    let (sender, under_way) = channel();
    let (from, to, line) = (Arc::clone(from), Arc::clone(to), Arc::clone(line));
    let take = move || {
        let mut packet = [0; MTU];
        while let Ok(length) = from.recv(&mut packet) {
            let Line { delay, loss } = *line.lock();
            let lost = rand::random::<f64>() < loss;
            if !lost && sender.send((Instant::now() + delay, packet[..length].to_vec())).is_err() {
                return;
            }
        }
    };
    [std::thread::spawn(take), std::thread::spawn(move || hand_over(&under_way, &to))]
}

fn hand_over(under_way: &Receiver<(Instant, Vec<u8>)>, to: &SyncDevice) {
    while let Ok((due, packet)) = under_way.recv() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // A device that is down or gone takes nothing, as a line that is cut.
        let _ = to.send(&packet);
    }
}
