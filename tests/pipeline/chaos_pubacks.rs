//! The hub has the messages, and the agent does not learn it: all acknowledgements are lost for a while, and then some.

use std::time::Duration;

use crate::chaos::{Chaos, Counts, Load};

/// Longer than the agent waits for an acknowledgement, more than once.
const WHILE: Duration = Duration::from_secs(15);

#[test]
fn chaos_pubacks_that_are_lost() {
    let load = Load { devices: 4, tags: 5, scan: 50, telemetry: "interval: 100ms, timeout: 2s" };
    let chaos = Chaos::straight(load);
    let lose = |one_in| chaos.ids().iter().for_each(|id| chaos.emulator.lose_pubacks(id, one_in));
    chaos.await_all("events arrive", |counts, id| counts.of(id, "events_acknowledged_total") > 100);
    lose(1);
    chaos.pass(WHILE);
    let failed = |counts: &Counts, id: &str| counts.of(id, "device_disconnections_total");
    chaos.await_all("silence is noticed, again and again", |counts, id| failed(counts, id) >= 2);
    let lost_all = chaos.metrics();
    for id in chaos.ids() {
        assert!(lost_all.of(&id, "buffer_events") > 100, "{id}: nothing is acknowledged");
    }
    // Often enough to be met, seldom enough to come forward in between.
    lose(40);
    chaos.await_all("single ones are missed too", |counts, id| failed(counts, id) > failed(&lost_all, id));
    lose(0);
    let repeated = chaos.close_books();
    assert!(repeated > 0, "what was not acknowledged came again");
}
