//! The task that reads a device's tags on time and appends events to its outbox.

use std::sync::Arc;
use std::time::Duration;

use lanyard_handoff::config::Device;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::status::device::DeviceState;
use crate::tags::event::Event;
use crate::tags::sampling::Sampling;
use crate::wait::until;

/// Room for events that is kept from scan to scan in any case.
const KEPT: usize = 1024;

/// Reads tags until `stop`, and follows the configuration meanwhile. `seed` decides simulated random values.
pub async fn run(
    state: Arc<DeviceState>,
    mut config: watch::Receiver<Arc<Device>>,
    seed: u64,
    stop: CancellationToken,
) {
    let started = Instant::now();
    let mut sampling = Sampling::new(seed);
    let (mut events, mut scanned, mut dropping) = (Vec::new(), 0, false);
    config.mark_changed();
    loop {
        let next = sampling.next().map(|elapsed| started + elapsed);
        let new = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = config.changed() => match changed {
                Ok(()) => Some(Arc::clone(&config.borrow_and_update())),
                Err(_) => return,
            },
            () = due(&state, next) => None,
        };
        let elapsed = started.elapsed();
        let epoch =
            clock::timestamp().as_millisecond() - i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        // What is due by now is read by the old configuration, so that the new one begins now.
        sampling.scan(elapsed, epoch, &mut events);
        if !events.is_empty() {
            append(&state, &events, &mut dropping);
            let before = std::mem::replace(&mut scanned, events.len());
            events.clear();
            // Scans of one size keep their room; what a single long one took is given back.
            events.shrink_to(KEPT.max(2 * before));
        }
        if let Some(device) = new {
            reconfigure(&state, &mut sampling, &device, elapsed);
        }
        state.tags_bad.set(i64::try_from(sampling.bad()).unwrap_or(i64::MAX));
    }
}

fn append(state: &DeviceState, events: &[Event], dropping: &mut bool) {
    let dropped = state.outbox.append(events, clock::instant());
    if dropped > 0 && !*dropping {
        tracing::warn!(
            device = state.name(),
            "the buffer is full, and events are dropped according to buffer.whenFull: restore the connection, or increase buffer.capacity"
        );
    }
    *dropping = dropped > 0;
}

fn reconfigure(state: &DeviceState, sampling: &mut Sampling, device: &Device, elapsed: Duration) {
    let problems = sampling.reconfigure(device, elapsed);
    for problem in &problems {
        tracing::error!(device = state.name(), "{problem}");
    }
    state.set_problems(problems);
}

/// Waits until something is to be read, and may be.
async fn due(state: &DeviceState, instant: Option<Instant>) {
    until(instant).await;
    state.outbox.room().await;
}
