//! Metrics of the operator. Pure, except for the counters.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lanyard_crds::slot::InUse;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::fleet;
use crate::kubernetes::key::Key;
use crate::reason::Reason;

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
    leader: IntGauge,
    issuers: IntGaugeVec,
}

impl Inner {
    /// Creates the series that alerts watch: an increase from nothing to one is none.
    fn start_at_zero(&self) {
        for kind in ["IoTDevice", "ProvisioningGroup"] {
            for result in ["success", "fault", "error"] {
                self.reconciles.with_label_values(&[kind, result]);
            }
            for reason in Reason::API {
                self.errors.with_label_values(&[kind, reason.as_str()]);
            }
        }
        for result in ["success", "error"] {
            self.polls.with_label_values(&[result]);
        }
    }
}

impl Metrics {
    /// Creates the metrics, with all counters at zero.
    ///
    /// # Errors
    /// Never in practice: the names are constants, and each is registered once.
    pub fn new() -> Result<Self, prometheus::Error> {
        let counter =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let buckets = vec![0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
        let durations =
            HistogramOpts::new("lanyard_operator_reconcile_duration_seconds", "Time of one reconcile")
                .buckets(buckets);
        let registry = Registry::new();
        let build = IntGaugeVec::new(
            Opts::new("lanyard_build_info", "1, with the version of the program"),
            &["program", "version"],
        )?;
        build.with_label_values(&["lanyard-operator", env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        let inner = Inner {
            registry,
            reconciles: counter(
                "lanyard_operator_reconciles_total",
                "Reconciles of an object",
                &["kind", "result"],
            )?,
            durations: HistogramVec::new(durations, &["kind"])?,
            errors: counter(
                "lanyard_operator_reconcile_errors_total",
                "Reconciles that ended with an error of the API server, or with an error that a user must fix",
                &["kind", "reason"],
            )?,
            writes: counter(
                "lanyard_operator_api_writes_total",
                "Writes to the API server",
                &["kind", "verb"],
            )?,
            unreadable: counter(
                "lanyard_operator_unreadable_objects_total",
                "Objects that do not match their schema and are skipped",
                &["kind"],
            )?,
            polls: counter(
                "lanyard_operator_agent_status_reads_total",
                "Reads of an agent's /status",
                &["result"],
            )?,
            leader: IntGauge::new("lanyard_operator_leader", "1 while this replica is the leader")?,
            issuers: IntGaugeVec::new(
                Opts::new(
                    "lanyard_operator_issuer_expiry_timestamp_seconds",
                    "Expiry of a group's CA, or of the first CA above it that expires",
                ),
                &["namespace", "group", "issuer"],
            )?,
        };
        let registry = &inner.registry;
        registry.register(Box::new(inner.reconciles.clone()))?;
        registry.register(Box::new(inner.durations.clone()))?;
        registry.register(Box::new(inner.errors.clone()))?;
        registry.register(Box::new(inner.writes.clone()))?;
        registry.register(Box::new(inner.unreadable.clone()))?;
        registry.register(Box::new(inner.polls.clone()))?;
        registry.register(Box::new(inner.leader.clone()))?;
        registry.register(Box::new(inner.issuers.clone()))?;
        inner.start_at_zero();
        Ok(Self(Arc::new(inner)))
    }

    /// Counts a reconcile that succeeded, or ended with an error that a user must fix.
    pub fn reconciled(&self, kind: &str, took: Duration, fault: Option<Reason>) {
        self.0.reconciles.with_label_values(&[kind, if fault.is_some() { "fault" } else { "success" }]).inc();
        self.0.durations.with_label_values(&[kind]).observe(took.as_secs_f64());
        if let Some(reason) = fault {
            self.0.errors.with_label_values(&[kind, reason.as_str()]).inc();
        }
    }

    /// Counts a reconcile that ended with an error and is retried.
    pub fn failed(&self, kind: &str, took: Duration, reason: Reason) {
        self.0.reconciles.with_label_values(&[kind, "error"]).inc();
        self.0.durations.with_label_values(&[kind]).observe(took.as_secs_f64());
        self.0.errors.with_label_values(&[kind, reason.as_str()]).inc();
    }

    /// Counts a write.
    pub fn wrote(&self, kind: &str, verb: &str) {
        self.0.writes.with_label_values(&[kind, verb]).inc();
    }

    /// Counts an object that does not fit its type.
    pub fn unreadable(&self, kind: &str) {
        self.0.unreadable.with_label_values(&[kind]).inc();
    }

    /// Counts a poll of an agent.
    pub fn polled(&self, answered: bool) {
        self.0.polls.with_label_values(&[if answered { "success" } else { "error" }]).inc();
    }

    /// Sets the expiries of a group's CAs; others are removed.
    pub fn issuers(&self, group: &Key, ends: &[(InUse, Timestamp)]) {
        for slot in [InUse::Primary, InUse::Secondary] {
            let labels = [group.namespace.as_str(), group.name.as_str(), slot.as_str()];
            match ends.iter().find(|(other, _)| *other == slot) {
                Some((_, end)) => self.0.issuers.with_label_values(&labels).set(end.as_second()),
                // An error means that there was none.
                None => drop(self.0.issuers.remove_label_values(&labels)),
            }
        }
    }

    /// Sets whether this replica is the leader.
    pub fn leads(&self, leads: bool) {
        self.0.leader.set(leads.into());
    }

    /// Returns the text for Prometheus, with the devices and groups as they are now.
    #[must_use]
    pub fn text(&self, devices: &[Arc<IoTDevice>], groups: &[Arc<ProvisioningGroup>]) -> String {
        let mut text = Vec::new();
        let encoded = fleet::gather(devices, groups).and_then(|fleet| {
            let families: Vec<_> = self.0.registry.gather().into_iter().chain(fleet).collect();
            TextEncoder::new().encode(&families, &mut text)
        });
        if let Err(error) = encoded {
            tracing::error!(%error, "failed to write metrics");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_series_even_without_devices() {
        let metrics = Metrics::new().unwrap();
        metrics.reconciled("IoTDevice", Duration::from_millis(3), Some(Reason::SecretNotFound));
        let text = metrics.text(&[Arc::new(IoTDevice::default())], &[]);
        for line in [
            r#"lanyard_operator_devices{state="Registered"} 1"#,
            r#"lanyard_operator_devices{state="WaitingForApproval"} 0"#,
            r#"lanyard_operator_devices{state="Blocked"} 0"#,
            r#"lanyard_operator_reconcile_errors_total{kind="IoTDevice",reason="SecretNotFound"} 1"#,
            "lanyard_operator_leader 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn expiries_go_with_their_devices_and_groups() {
        let metrics = Metrics::new().unwrap();
        let device: IoTDevice = serde_saphyr::from_str(
            "{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {name: a, namespace: n}, spec: {}, \
                status: {credentials: {secretName: s, kind: X509, notAfter: '1970-01-01T00:01:00Z'}}}",
        )
        .unwrap();
        let group = Key::new("n", "g");
        metrics.issuers(&group, &[(InUse::Secondary, Timestamp::from_second(7).unwrap())]);
        let text = metrics.text(&[Arc::new(device)], &[]);
        for line in [
            r#"lanyard_operator_credential_expiry_timestamp_seconds{device="a",namespace="n"} 60"#,
            r#"lanyard_operator_issuer_expiry_timestamp_seconds{group="g",issuer="Secondary",namespace="n"} 7"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        metrics.issuers(&group, &[]);
        assert!(!metrics.text(&[], &[]).contains("expiry_timestamp_seconds{"));
    }
}
