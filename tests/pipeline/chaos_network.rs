//! A line that is slow, that loses packets, and that is gone for a while. The packets are real and TCP is the kernel's;
//! `lanyard_tests::network` carries them, because many kernels lack netem. Where that cannot be (no root, no
//! `/dev/net/tun`) this test fails, and says so.

use std::time::Duration;

use lanyard_tests::network::{Line, Network};

use crate::chaos::{Chaos, Load};

/// Sequence of line conditions: delay in milliseconds, share of lost packets, duration in seconds.
const WEATHER: [(u64, f64, u64); 6] =
    [(20, 0.01, 10), (150, 0.05, 15), (40, 0.25, 10), (0, 1.0, 15), (300, 0.02, 10), (75, 0.1, 10)];

fn line(delay: u64, loss: f64) -> Line {
    Line { delay: Duration::from_millis(delay), loss }
}

#[test]
fn chaos_a_line_that_loses_packets() {
    let load = Load { devices: 3, tags: 10, scan: 100, telemetry: "interval: 250ms" };
    let chaos = Chaos::over(Network::new(line(5, 0.0)), load);
    let network = chaos.network.as_ref().expect("it was made above");
    chaos.await_all("events arrive", |counts, id| counts.of(id, "events_acknowledged_total") > 100);
    for (delay, loss, seconds) in WEATHER {
        network.set(line(delay, loss));
        chaos.pass(Duration::from_secs(seconds));
    }
    // It never becomes good again.
    network.set(line(50, 0.02));
    chaos.await_all("it catches up", |counts, id| counts.of(id, "buffer_events") < 200);
    chaos.close_books();
}
