//! What Prometheus reads of the operator itself. Pure but for the counters.

use std::sync::Arc;
use std::time::Duration;

use lanyard_crds::IoTDevice;
use lanyard_crds::status::{ConnectionState, ProvisioningState};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The operator's counters. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reconciles: IntCounterVec,
    durations: HistogramVec,
    errors: IntCounterVec,
    writes: IntCounterVec,
    unreadable: IntCounterVec,
    polls: IntCounterVec,
    devices: IntGaugeVec,
    connected: IntGauge,
    leader: IntGauge,
}

impl Metrics {
    /// All counters at zero.
    ///
    /// # Errors
    /// Never in practice: the names are constants, and each is registered once.
    pub fn new() -> Result<Self, prometheus::Error> {
        let counter =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let buckets = vec![0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
        let durations =
            HistogramOpts::new("lanyard_operator_reconcile_duration_seconds", "Time to look at one object")
                .buckets(buckets);
        let inner = Inner {
            registry: Registry::new(),
            reconciles: counter(
                "lanyard_operator_reconciles_total",
                "Looks at an object",
                &["kind", "result"],
            )?,
            durations: HistogramVec::new(durations, &["kind"])?,
            errors: counter(
                "lanyard_operator_reconcile_errors_total",
                "Looks at an object that ended with an error or with something for a user to change",
                &["kind", "reason"],
            )?,
            writes: counter(
                "lanyard_operator_api_writes_total",
                "Writes to the API server",
                &["kind", "verb"],
            )?,
            unreadable: counter(
                "lanyard_operator_unreadable_objects_total",
                "Objects that do not fit their type and are left alone",
                &["kind"],
            )?,
            polls: counter(
                "lanyard_operator_agent_status_reads_total",
                "Reads of an agent's /status",
                &["result"],
            )?,
            devices: IntGaugeVec::new(
                Opts::new("lanyard_operator_devices", "IoTDevices by provisioning state"),
                &["state"],
            )?,
            connected: IntGauge::new("lanyard_operator_devices_connected", "IoTDevices that are connected")?,
            leader: IntGauge::new("lanyard_operator_leader", "1 while this operator is the one that works")?,
        };
        let registry = &inner.registry;
        registry.register(Box::new(inner.reconciles.clone()))?;
        registry.register(Box::new(inner.durations.clone()))?;
        registry.register(Box::new(inner.errors.clone()))?;
        registry.register(Box::new(inner.writes.clone()))?;
        registry.register(Box::new(inner.unreadable.clone()))?;
        registry.register(Box::new(inner.polls.clone()))?;
        registry.register(Box::new(inner.devices.clone()))?;
        registry.register(Box::new(inner.connected.clone()))?;
        registry.register(Box::new(inner.leader.clone()))?;
        Ok(Self(Arc::new(inner)))
    }

    /// A look at an object ended well, or with what a user has to change.
    pub fn reconciled(&self, kind: &str, took: Duration, fault: Option<&str>) {
        self.0.reconciles.with_label_values(&[kind, if fault.is_some() { "fault" } else { "success" }]).inc();
        self.0.durations.with_label_values(&[kind]).observe(took.as_secs_f64());
        if let Some(reason) = fault {
            self.0.errors.with_label_values(&[kind, reason]).inc();
        }
    }

    /// A look at an object ended with an error and will be tried again.
    pub fn failed(&self, kind: &str, took: Duration, reason: &str) {
        self.0.reconciles.with_label_values(&[kind, "error"]).inc();
        self.0.durations.with_label_values(&[kind]).observe(took.as_secs_f64());
        self.0.errors.with_label_values(&[kind, reason]).inc();
    }

    /// Something was written.
    pub fn wrote(&self, kind: &str, verb: &str) {
        self.0.writes.with_label_values(&[kind, verb]).inc();
    }

    /// An object does not fit its type.
    pub fn unreadable(&self, kind: &str) {
        self.0.unreadable.with_label_values(&[kind]).inc();
    }

    /// An agent was asked.
    pub fn asked(&self, answered: bool) {
        self.0.polls.with_label_values(&[if answered { "success" } else { "error" }]).inc();
    }

    /// Whether this operator works.
    pub fn leads(&self, leads: bool) {
        self.0.leader.set(leads.into());
    }

    /// The text for Prometheus, with the devices as they are now.
    #[must_use]
    pub fn text(&self, devices: &[Arc<IoTDevice>]) -> String {
        self.count(devices);
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.0.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot write metrics");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    fn count(&self, devices: &[Arc<IoTDevice>]) {
        use ProvisioningState as S;
        let state = |device: &IoTDevice| device.status.as_ref().and_then(|status| status.provisioning_state);
        for (wanted, word) in [
            (S::Unassociated, "Unassociated"),
            (S::Registered, "Registered"),
            (S::Provisioned, "Provisioned"),
            (S::Blocked, "Blocked"),
        ] {
            let is = |device: &&Arc<IoTDevice>| state(device).unwrap_or(S::Unassociated) == wanted;
            self.0.devices.with_label_values(&[word]).set(devices.iter().filter(is).count() as i64);
        }
        let connected = devices.iter().filter(|device| {
            let connection = device.status.as_ref().and_then(|status| status.connection.as_ref());
            connection.is_some_and(|connection| connection.state == ConnectionState::Connected)
        });
        self.0.connected.set(connected.count() as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_there_even_when_nobody_is_in_it() {
        let metrics = Metrics::new().unwrap();
        metrics.reconciled("IoTDevice", Duration::from_millis(3), Some("SecretNotFound"));
        let text = metrics.text(&[Arc::new(IoTDevice::default())]);
        for line in [
            r#"lanyard_operator_devices{state="Unassociated"} 1"#,
            r#"lanyard_operator_devices{state="Blocked"} 0"#,
            r#"lanyard_operator_reconcile_errors_total{kind="IoTDevice",reason="SecretNotFound"} 1"#,
            "lanyard_operator_leader 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
