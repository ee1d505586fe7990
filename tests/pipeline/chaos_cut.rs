//! Connections end repeatedly after a random number of bytes, in either direction, including handshakes: normally, by
//! a reset, or silently.

use lanyard_tests::chance::Chance;
use lanyard_tests::proxy::{End, Fate};
use lanyard_tests::records::Moment;

use crate::chaos::{Chaos, Load};

/// Of each device. Waits double from one to the next, so that more would take minutes.
const CUTS: usize = 5;

/// Returns a random moment: anywhere, and mostly early, in the handshakes; or surely after them.
fn moment(chance: &mut Chance) -> Moment {
    match chance.within(0..4) {
        0 => Moment::ToHub(chance.magnitude(14.0)),
        1 => Moment::FromHub(chance.magnitude(12.0)),
        2 => Moment::ToHub(chance.within(1_000..12_000)),
        _ => Moment::FromHub(chance.within(2_000..4_000)),
    }
}

fn fates(chance: &mut Chance) -> Vec<Fate> {
    let mut fates: Vec<_> = (0..CUTS)
        .map(|number| {
            // One stall for each device: it takes as long as the agent believes in the connection.
            let end = match number {
                0 => End::Stall,
                number if number % 2 == 0 => End::Close,
                _ => End::Reset,
            };
            Fate { at: moment(chance), end }
        })
        .collect();
    chance.shuffle(&mut fates);
    fates
}

#[test]
fn chaos_connections_cut_at_random_bytes() {
    let mut chance = Chance::new();
    let load = Load { devices: 12, tags: 3, scan: 100, telemetry: "interval: 100ms" };
    let chaos = Chaos::behind_proxies(load, || fates(&mut chance));
    chaos.await_load();
    chaos.await_fates();
    let repeated = chaos.close_books();
    assert!(repeated > 0, "some cuts were between a message and its acknowledgement");
}
