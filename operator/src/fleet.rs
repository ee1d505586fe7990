//! Gauges that every scrape computes from the cached devices and groups. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use lanyard_crds::status::{ConnectionState, CredentialsProof, ProvisioningState, RolloverStatus};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

use crate::conditions::{AGENT_READY, find};
use crate::device::report::state::connects_elsewhere;
use crate::kubernetes::key::Key;
use crate::reason::Reason;

/// Every provisioning state with its word, so that each has a series from the start.
const STATES: [(ProvisioningState, &str); 5] = [
    (ProvisioningState::Registered, "Registered"),
    (ProvisioningState::WaitingForApproval, "WaitingForApproval"),
    (ProvisioningState::Unassociated, "Unassociated"),
    (ProvisioningState::Provisioned, "Provisioned"),
    (ProvisioningState::Blocked, "Blocked"),
];

/// Returns the gauges of the devices and groups. They are made for this scrape, so that a concurrent scrape does not see half
/// of them.
///
/// # Errors
/// Never in practice: the names are constants, and each is registered once.
pub fn gather(
    devices: &[Arc<IoTDevice>],
    groups: &[Arc<ProvisioningGroup>],
) -> prometheus::Result<Vec<MetricFamily>> {
    let registry = Registry::new();
    FleetGauges::register(&registry)?.set(devices, groups);
    Ok(registry.gather())
}

struct FleetGauges {
    devices: IntGaugeVec,
    connected: IntGauge,
    expiries: IntGaugeVec,
    renewals: IntGaugeVec,
    agents: IntGaugeVec,
    agents_since: IntGaugeVec,
    rollover: IntGaugeVec,
}

impl FleetGauges {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntGaugeVec> {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let connected = IntGauge::new("lanyard_operator_devices_connected", "IoTDevices that are connected")?;
        registry.register(Box::new(connected.clone()))?;
        Ok(Self {
            devices: gauge("lanyard_operator_devices", "IoTDevices by provisioning state", &["state"])?,
            connected,
            expiries: gauge(
                "lanyard_operator_credential_expiry_timestamp_seconds",
                "When the certificate in a device's Secret ends",
                &["namespace", "device"],
            )?,
            renewals: gauge(
                "lanyard_operator_credential_renewal_timestamp_seconds",
                "When the operator renews the certificate in a device's Secret; absent where someone else does",
                &["namespace", "device"],
            )?,
            agents: gauge(
                "lanyard_operator_agents_not_running",
                "Devices whose agent has no running pod, by the reason of the condition AgentReady",
                &["namespace", "reason"],
            )?,
            agents_since: gauge(
                "lanyard_operator_agent_not_running_since_timestamp_seconds",
                "Since when the agent that has been without a running pod for longest is so",
                &["namespace"],
            )?,
            rollover: gauge(
                "lanyard_operator_rollover_devices",
                "Devices of a group by how far they are with its key or CA in use; Untried counts those with an agent",
                &["namespace", "group", "state"],
            )?,
        })
    }

    fn set(&self, devices: &[Arc<IoTDevice>], groups: &[Arc<ProvisioningGroup>]) {
        self.count(devices);
        self.set_credentials(devices);
        self.set_agents(devices);
        self.set_rollovers(devices, groups);
    }

    fn count(&self, devices: &[Arc<IoTDevice>]) {
        let state = |device: &IoTDevice| {
            let reported = device.status.as_ref().and_then(|status| status.provisioning_state);
            reported.unwrap_or(ProvisioningState::Registered)
        };
        for (counted, word) in STATES {
            let count = devices.iter().filter(|device| state(device) == counted).count();
            self.devices.with_label_values(&[word]).set(count as i64);
        }
        let connected = devices.iter().filter(|device| {
            let connection = device.status.as_ref().and_then(|status| status.connection.as_ref());
            connection.is_some_and(|connection| connection.state == ConnectionState::Connected)
        });
        self.connected.set(connected.count() as i64);
    }

    fn set_credentials(&self, devices: &[Arc<IoTDevice>]) {
        for device in devices {
            let Some(credentials) = device.status.as_ref().and_then(|status| status.credentials.as_ref())
            else {
                continue;
            };
            let key = Key::of(&**device);
            let labels = [key.namespace.as_str(), key.name.as_str()];
            if let Some(end) = &credentials.not_after {
                self.expiries.with_label_values(&labels).set(end.0.as_second());
                if let Some(renewal) = &credentials.renewal_at {
                    self.renewals.with_label_values(&labels).set(renewal.0.as_second());
                }
            }
        }
    }

    fn set_agents(&self, devices: &[Arc<IoTDevice>]) {
        for device in devices {
            let ready = device.status.as_ref().and_then(|status| find(&status.conditions, AGENT_READY));
            let Some(ready) = ready else { continue };
            if ready.status != "False" || !Reason::parse(&ready.reason).is_some_and(Reason::is_without_pod) {
                continue;
            }
            let namespace = Key::of(&**device).namespace;
            self.agents.with_label_values(&[namespace.as_str(), ready.reason.as_str()]).inc();
            let oldest = self.agents_since.with_label_values(&[&namespace]);
            let since = ready.last_transition_time.0.as_second();
            if oldest.get() == 0 || since < oldest.get() {
                oldest.set(since);
            }
        }
    }

    fn set_rollovers(&self, devices: &[Arc<IoTDevice>], groups: &[Arc<ProvisioningGroup>]) {
        let rollovers = groups.iter().filter_map(|group| {
            let rollover = group.status.as_ref()?.rollover.as_ref()?;
            Some((Key::of(&**group), (&**group, rollover)))
        });
        let rollovers: HashMap<Key, (&ProvisioningGroup, &RolloverStatus)> = rollovers.collect();
        for (key, (_, rollover)) in &rollovers {
            let set = |state: &str, count: u32| {
                let labels = [key.namespace.as_str(), key.name.as_str(), state];
                self.rollover.with_label_values(&labels).set(count.into());
            };
            set("Moved", rollover.moved);
            set("Pending", rollover.pending);
            set("Refused", rollover.refused);
            set("Untried", 0);
        }
        for device in devices {
            let Some(reference) = &device.spec.group_ref else { continue };
            let key = Key::new(&Key::of(&**device).namespace, &reference.name);
            let Some((group, rollover)) = rollovers.get(&key) else { continue };
            if is_untried(device, rollover) && !connects_elsewhere(device, Some(group)) {
                self.rollover
                    .with_label_values(&[key.namespace.as_str(), key.name.as_str(), "Untried"])
                    .inc();
            }
        }
    }
}

/// Returns whether the device has a credential of the key or CA in use and has not connected with it yet.
fn is_untried(device: &IoTDevice, rollover: &RolloverStatus) -> bool {
    let credentials = device.status.as_ref().and_then(|status| status.credentials.as_ref());
    credentials.is_some_and(|credentials| {
        credentials.issuer_fingerprint.as_deref() == Some(&rollover.issuer_fingerprint)
            && matches!(credentials.proof, None | Some(CredentialsProof::Untried))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Encoder, TextEncoder};

    fn device(name: &str, spec: &str, status: &str) -> Arc<IoTDevice> {
        let text = format!(
            "{{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {{name: {name}, namespace: n}}, spec: \
                {spec}, status: {status}}}"
        );
        Arc::new(serde_saphyr::from_str(&text).unwrap())
    }

    fn group(status: &str) -> Arc<ProvisioningGroup> {
        let text = format!(
            "{{apiVersion: lanyard.dev/v1alpha1, kind: ProvisioningGroup, metadata: {{name: g, namespace: n}}, \
                spec: {{dps: {{idScope: 0ne00ABCDEF}}, attestation: {{}}}}, status: {status}}}"
        );
        Arc::new(serde_saphyr::from_str(&text).unwrap())
    }

    fn text(devices: &[Arc<IoTDevice>], groups: &[Arc<ProvisioningGroup>]) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&gather(devices, groups).unwrap(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn assert_has(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    fn not_ready(name: &str, reason: &str, since: &str) -> Arc<IoTDevice> {
        let condition = format!(
            "{{type: AgentReady, status: 'False', reason: {reason}, message: m, lastTransitionTime: '{since}'}}"
        );
        device(name, "{}", &format!("{{conditions: [{condition}]}}"))
    }

    #[test]
    fn agents_without_pods_are_counted_since_the_first() {
        let devices = [
            not_ready("a", "AgentCrashing", "1970-01-01T00:02:00Z"),
            not_ready("b", "AgentCrashing", "1970-01-01T00:01:00Z"),
            not_ready("c", "TagsRejected", "1970-01-01T00:00:01Z"),
        ];
        let shown = text(&devices, &[]);
        assert_has(
            &shown,
            &[
                r#"lanyard_operator_agents_not_running{namespace="n",reason="AgentCrashing"} 2"#,
                r#"lanyard_operator_agent_not_running_since_timestamp_seconds{namespace="n"} 60"#,
            ],
        );
        assert!(!shown.contains("TagsRejected"), "{shown}");
        assert!(!text(&[], &[]).contains("not_running{"));
    }

    #[test]
    fn rollover_counts_untried_devices_with_agents() {
        let status =
            "{credentials: {secretName: s, kind: SharedAccessKey, issuerFingerprint: new, proof: Untried}}";
        let devices = [
            device("a", "{groupRef: {name: g}}", status),
            device("b", "{groupRef: {name: g}, agent: {mode: None}}", status),
        ];
        let rollover = "{rollover: {issuerFingerprint: new, moved: 5, untried: 2, pending: 3, refused: 1}}";
        let shown = text(&devices, &[group(rollover)]);
        let of = |state: &str, count: u32| {
            format!(r#"lanyard_operator_rollover_devices{{group="g",namespace="n",state="{state}"}} {count}"#)
        };
        assert_has(&shown, &[&of("Moved", 5), &of("Pending", 3), &of("Refused", 1), &of("Untried", 1)]);
    }

    #[test]
    fn renewal_time_is_shown_beside_the_expiry() {
        let status = "{credentials: {secretName: s, kind: X509, notAfter: '1970-01-01T00:01:00Z', renewalAt: '1970-01-01T00:00:30Z'}}";
        let shown = text(&[device("a", "{}", status)], &[]);
        assert_has(
            &shown,
            &[
                r#"lanyard_operator_credential_expiry_timestamp_seconds{device="a",namespace="n"} 60"#,
                r#"lanyard_operator_credential_renewal_timestamp_seconds{device="a",namespace="n"} 30"#,
            ],
        );
    }
}
