//! Metrics of a device for a scrape. Event counts are read at one moment, so that they always balance.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge};

use crate::buffer::counts::{DropReason, EventCounts};
use crate::status::device::DeviceState;
use crate::status::metrics::opts;

/// Event counts and the state of the buffer, as series of one moment.
struct EventSeries {
    read: IntCounter,
    recovered: IntCounter,
    acknowledged: IntCounter,
    dropped: IntCounterVec,
    events: IntGauge,
    bytes: IntGauge,
    capacity: IntGauge,
    problem: IntGauge,
    oldest: Gauge,
}

impl EventSeries {
    fn new(device: &str) -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| opts(device, name, help);
        Ok(Self {
            read: IntCounter::with_opts(opts(
                "lanyard_events_read_total",
                "Events that tags produced, and those found in the buffer at the start.",
            ))?,
            recovered: IntCounter::with_opts(opts(
                "lanyard_events_recovered_total",
                "Events found in the buffer at the start; they are among those read.",
            ))?,
            acknowledged: IntCounter::with_opts(opts(
                "lanyard_events_acknowledged_total",
                "Events that the hub has acknowledged.",
            ))?,
            dropped: IntCounterVec::new(
                opts("lanyard_events_dropped_total", "Events that were dropped, by reason."),
                &["reason"],
            )?,
            events: IntGauge::with_opts(opts(
                "lanyard_buffer_events",
                "Events read and neither acknowledged nor dropped.",
            ))?,
            bytes: IntGauge::with_opts(opts(
                "lanyard_buffer_bytes",
                "Bytes that the buffer takes on disk; at most its capacity.",
            ))?,
            capacity: IntGauge::with_opts(opts(
                "lanyard_buffer_capacity_bytes",
                "Bytes that the buffer may take on disk.",
            ))?,
            problem: IntGauge::with_opts(opts(
                "lanyard_buffer_problem",
                "1 while events are not kept on disk, see problems in /status; 0 otherwise.",
            ))?,
            oldest: Gauge::with_opts(opts(
                "lanyard_buffer_oldest_event_timestamp_seconds",
                "When the oldest event in the buffer was read; absent while the buffer is empty.",
            ))?,
        })
    }

    fn fill(&self, counts: &EventCounts, capacity: u64, problem: bool) {
        self.capacity.set(i64::try_from(capacity).unwrap_or(i64::MAX));
        self.read.inc_by(counts.read);
        self.recovered.inc_by(counts.recovered);
        self.problem.set(problem.into());
        self.acknowledged.inc_by(counts.acknowledged);
        for reason in DropReason::ALL {
            self.dropped.with_label_values(&[reason.as_str()]).inc_by(counts.dropped(reason));
        }
        self.events.set(i64::try_from(counts.events).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(counts.bytes).unwrap_or(i64::MAX));
        self.oldest.set(counts.oldest.unwrap_or_default() as f64 / 1000.0);
    }
}

/// Collector of a device's metrics.
#[derive(Clone)]
pub struct DeviceCollector {
    state: Arc<DeviceState>,
}

impl DeviceCollector {
    /// Creates a collector over a device's state.
    #[must_use]
    pub const fn new(state: Arc<DeviceState>) -> Self {
        Self { state }
    }
}

impl Collector for DeviceCollector {
    /// Describes one metric: one is enough for the registry to distinguish devices. It would keep all of them in
    /// memory, and there are many devices.
    fn desc(&self) -> Vec<&Desc> {
        self.state.connection.metrics().connected.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (counts, capacity, problem) = {
            let outbox = self.state.outbox.lock();
            (outbox.counts(), outbox.capacity(), outbox.problem().is_some())
        };
        let mut families = self.state.connection.metrics().collect();
        families.extend(self.state.tags_bad.collect());
        if let Ok(series) = EventSeries::new(self.state.name()) {
            series.fill(&counts, capacity, problem);
            families.extend(series.read.collect());
            families.extend(series.recovered.collect());
            families.extend(series.acknowledged.collect());
            families.extend(series.dropped.collect());
            families.extend(series.events.collect());
            families.extend(series.bytes.collect());
            families.extend(series.capacity.collect());
            families.extend(series.problem.collect());
            if counts.oldest.is_some() {
                families.extend(series.oldest.collect());
            }
        }
        families
    }
}
