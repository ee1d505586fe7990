//! Every attempt to connect is reset in another phase, in another order for every device: once TCP is accepted, in the
//! TLS handshake, at CONNECT, before CONNACK, and at the first message.

use lanyard_tests::chance::Chance;
use lanyard_tests::proxy::{End, Fate};
use lanyard_tests::records::Moment;

use crate::chaos::{Chaos, Load};

const PHASES: [Moment; 5] =
    [Moment::Accepted, Moment::Handshake, Moment::Connect, Moment::Connack, Moment::Publish];

#[test]
fn chaos_resets_in_a_row_in_every_phase() {
    let mut chance = Chance::new();
    let load = Load { devices: 12, tags: 3, scan: 100, telemetry: "interval: 100ms" };
    let chaos = Chaos::behind_proxies(load, || {
        let mut fates = PHASES.map(|at| Fate { at, end: End::Reset });
        chance.shuffle(&mut fates);
        fates.to_vec()
    });
    chaos.await_load();
    chaos.await_fates();
    chaos.await_all("every device is connected", |counts, id| counts.of(id, "device_connected") == 1);
    let metrics = chaos.metrics();
    for id in chaos.ids() {
        // The device received one CONNACK on a connection that was reset, and one on the final connection.
        assert!(metrics.of(&id, "device_disconnections_total") >= 1, "{id}");
        let seen = chaos.emulator.device(&id).expect("the hub knows it");
        // The hub had let it in once more, when CONNACK was lost.
        assert!(seen["connections"].as_u64() >= Some(3), "{id}: {seen}");
    }
    chaos.close_books();
}
