//! Series of one device for Prometheus: those that its tasks change.

use lanyard_handoff::status::ConnectionReason;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// `kind` of a credential: a token signed with the device's key.
pub const SAS_TOKEN: &str = "SasToken";
/// `kind` of a credential: a certificate.
pub const X509: &str = "X509";

/// From a loopback's half millisecond to the slowest hub one would still wait for.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters and gauges of a device's connection.
#[derive(Debug)]
pub(super) struct ConnectionMetrics {
    /// 1 while the hub has accepted the device and the connection is open.
    pub(super) connected: IntGauge,
    /// Attempts to connect, by how they ended.
    pub(super) attempts: IntCounterVec,
    /// Ends of connections, by why.
    pub(super) disconnections: IntCounterVec,
    /// Expiry of the credential in use.
    pub(super) expiry: IntGaugeVec,
    /// Messages that the hub has acknowledged.
    pub(super) published: IntCounter,
    /// Time from handing a message to the connection until its acknowledgement.
    pub(super) latency: Histogram,
}

pub(super) fn opts(device: &str, name: &str, help: &str) -> Opts {
    Opts::new(name, help).const_label("device", device)
}

/// Returns the gauge of the tags that could not be read the last time.
///
/// # Errors
/// Never with this name; the library checks it at run time.
pub(super) fn tags_bad(device: &str) -> prometheus::Result<IntGauge> {
    let help = "Tags that could not be read the last time they were tried.";
    IntGauge::with_opts(opts(device, "lanyard_tags_bad", help))
}

impl ConnectionMetrics {
    /// Creates all series of a connection, at zero.
    ///
    /// # Errors
    /// Never with these names; the library checks them at run time.
    pub(super) fn new(device: &str) -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| opts(device, name, help);
        let latency = HistogramOpts {
            common_opts: opts(
                "lanyard_publish_latency_seconds",
                "Time from handing a message to the connection until the hub acknowledged it.",
            ),
            buckets: LATENCY_BUCKETS.to_vec(),
        };
        Ok(Self {
            connected: IntGauge::with_opts(opts(
                "lanyard_device_connected",
                "1 while the hub has accepted the device, 0 otherwise.",
            ))?,
            attempts: IntCounterVec::new(
                opts(
                    "lanyard_device_connection_attempts_total",
                    "Attempts to connect to the hub or DPS, by result: Connected, or why not.",
                ),
                &["result"],
            )?,
            disconnections: IntCounterVec::new(
                opts(
                    "lanyard_device_disconnections_total",
                    "Ends of connections that the hub had accepted, by reason.",
                ),
                &["reason"],
            )?,
            expiry: IntGaugeVec::new(
                opts(
                    "lanyard_credential_expiry_timestamp_seconds",
                    "When the credential in use expires, by kind; it is renewed before.",
                ),
                &["kind"],
            )?,
            published: IntCounter::with_opts(opts(
                "lanyard_messages_published_total",
                "Messages that the hub has acknowledged.",
            ))?,
            latency: Histogram::with_opts(latency)?,
        })
    }

    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        let each = [
            self.connected.collect(),
            self.attempts.collect(),
            self.disconnections.collect(),
            self.expiry.collect(),
            self.published.collect(),
            self.latency.collect(),
        ];
        each.into_iter().flatten().collect()
    }

    /// Records the expiry of the token that the device logs in with, in seconds since 1970-01-01T00:00:00Z.
    pub(super) fn token_expires(&self, at: u64) {
        self.expires(SAS_TOKEN, i64::try_from(at).unwrap_or(i64::MAX));
    }

    /// Records the expiry of the certificate that the device logs in with.
    pub(super) fn certificate_expires(&self, at: jiff::Timestamp) {
        self.expires(X509, at.as_second());
    }

    fn expires(&self, kind: &str, at: i64) {
        for other in [SAS_TOKEN, X509].into_iter().filter(|&other| other != kind) {
            // The one before may have been of the other kind, or not.
            let _ = self.expiry.remove_label_values(&[other]);
        }
        self.expiry.with_label_values(&[kind]).set(at);
    }

    /// Counts an attempt to connect.
    pub(super) fn attempted(&self, result: ConnectionReason) {
        self.attempts.with_label_values(&[result.as_str()]).inc();
    }

    /// Counts the end of a connection.
    pub(super) fn disconnected(&self, reason: ConnectionReason) {
        self.disconnections.with_label_values(&[reason.as_str()]).inc();
    }
}
