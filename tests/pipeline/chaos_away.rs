//! The hub is away for a minute while tags are read: for some devices it refuses connections, for the others the
//! network swallows them.

use std::time::Duration;

use lanyard_tests::proxy::Door;

use crate::chaos::{Chaos, Counts, Load};

const AWAY: Duration = Duration::from_secs(60);

#[test]
fn chaos_hub_is_unreachable_for_a_minute() {
    let load = Load { devices: 4, tags: 20, scan: 100, telemetry: "interval: 200ms" };
    let chaos = Chaos::behind_proxies(load, Vec::new);
    chaos.await_all("events arrive", |counts, id| counts.of(id, "events_acknowledged_total") > 100);
    for (proxy, door) in chaos.proxies.iter().zip([Door::Refusing, Door::Silent].into_iter().cycle()) {
        proxy.set(door);
    }
    let before = chaos.metrics();
    chaos.pass(AWAY);
    let after = chaos.metrics();
    for id in chaos.ids() {
        let came = |counts: &Counts| counts.of(&id, "events_acknowledged_total");
        // What was on its way when the door was closed may have come.
        assert!(after.of(&id, "buffer_events") > 1000, "{id}: the load goes on");
        assert!(came(&after) - came(&before) < 1000, "{id}: nothing passes");
        assert!(after.of(&id, "device_disconnections_total") >= 1, "{id}");
    }
    chaos.proxies.iter().for_each(|proxy| proxy.set(Door::Open));
    chaos.await_all("it catches up", |counts, id| counts.of(id, "buffer_events") < 500);
    chaos.close_books();
}
