//! Fourth stage: the objects that a device needs, whole. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use lanyard_crds::IoTDevice;
use lanyard_crds::agent::AgentMode;
use lanyard_handoff::config;
use lanyard_handoff::credentials as file;
use lanyard_protocol::hub::connection_string::DeviceConnectionString;

use super::claim;
use super::defaults::AgentDefaults;
use super::name;
use super::workload;
use crate::credential::stored::Credential;
use crate::device::issue::credential::Issued;
use crate::device::plan::labels::labels;
use crate::device::validate::effective::{Destination, EffectiveDevice};
use crate::reason::Reason;

/// The objects that a device needs. None of them is written yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Credentials of the device.
    pub issued: Issued,
    /// The credentials.
    pub credentials: Secret,
    /// The claim of its buffer, if the operator is to make one and nothing else connects the device.
    pub claim: Option<PersistentVolumeClaim>,
    /// The agent's configuration, unless something else connects the device.
    pub configuration: Option<ConfigMap>,
    /// The agent, unless something else connects the device.
    pub workload: Option<StatefulSet>,
    /// A credentials Secret of another name from before, which is to go.
    pub former_credentials: Option<String>,
}

/// Objects to remove from a device that must leave the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// Names of its credentials Secrets.
    pub credentials: Vec<String>,
    /// Name of its `StatefulSet`.
    pub workload: String,
}

/// Returns the objects that the device needs.
#[must_use]
pub fn plan(device: &IoTDevice, valid: &EffectiveDevice, issued: Issued, defaults: &AgentDefaults) -> Plan {
    let meta = |name: String| ObjectMeta {
        name: Some(name),
        namespace: Some(valid.namespace.clone()),
        labels: Some(labels(&valid.name)),
        owner_references: Some(vec![valid.owner.clone()]),
        ..ObjectMeta::default()
    };
    let (claim, configuration, workload) = match valid.agent.mode.unwrap_or_default() {
        AgentMode::Dedicated => {
            let document = valid.configuration.to_text();
            let configuration = ConfigMap {
                metadata: meta(name::workload(&valid.name)),
                data: Some(BTreeMap::from([(config::FILE_NAME.to_owned(), document)])),
                ..ConfigMap::default()
            };
            let workload = StatefulSet {
                metadata: meta(name::workload(&valid.name)),
                spec: Some(workload::spec(valid, defaults)),
                status: None,
            };
            let claim = claim::planned(valid, meta(name::claim(&valid.name)));
            (claim, Some(configuration), Some(workload))
        }
        AgentMode::None => (None, None, None),
    };
    Plan {
        credentials: Secret {
            metadata: ObjectMeta {
                annotations: Some(issued.holding.annotations()),
                ..meta(valid.secret_name.clone())
            },
            type_: Some(secret_type(&issued.holding.current).to_owned()),
            data: Some(credentials(valid, &issued)),
            ..Secret::default()
        },
        claim,
        configuration,
        workload,
        former_credentials: former_credentials(device).filter(|former| *former != valid.secret_name),
        issued,
    }
}

/// Returns the objects to remove from a device that must leave the hub for this reason.
#[must_use]
pub fn withdrawal(device: &IoTDevice, reason: Reason) -> Withdrawal {
    let name = device.name_any();
    if !reason.takes_credentials() {
        return Withdrawal { credentials: Vec::new(), workload: name::workload(&name) };
    }
    let mut credentials = vec![name::credentials(device)];
    credentials.extend(former_credentials(device));
    credentials.dedup();
    Withdrawal { credentials, workload: name::workload(&name) }
}

fn former_credentials(device: &IoTDevice) -> Option<String> {
    Some(device.status.as_ref()?.credentials.as_ref()?.secret_name.clone())
}

/// Returns the type of the Secret that other software looks for.
const fn secret_type(current: &Credential) -> &'static str {
    match current {
        Credential::Key(_) => "Opaque",
        Credential::Certificate(_) => "kubernetes.io/tls",
    }
}

/// Returns the data of the Secret: some keys are for the agent, the others for software that uses the Secret without an
/// agent.
fn credentials(valid: &EffectiveDevice, issued: &Issued) -> BTreeMap<String, ByteString> {
    let mut data = BTreeMap::new();
    let mut put = |name: &str, text: &str| {
        data.insert(name.to_owned(), ByteString(text.as_bytes().to_vec()));
    };
    issued.holding.files().iter().for_each(|(name, text)| put(name, text));
    put(file::DEVICE_ID, valid.device_id.as_str());
    match &valid.destination {
        Destination::Hub(hub) => {
            put(file::HOSTNAME, &hub.hostname.to_string());
            // A connection string cannot quote ';' and '=' of a device id: other software would read another id, or a field
            // that is none.
            if let Credential::Key(key) = &issued.holding.current
                && !valid.device_id.as_str().contains([';', '='])
            {
                let text = DeviceConnectionString {
                    hostname: hub.hostname.clone(),
                    device_id: valid.device_id.clone(),
                    key: key.clone(),
                    gateway_hostname: hub.gateway_hostname.clone(),
                };
                put(file::CONNECTION_STRING, &text.expose());
            }
        }
        Destination::Dps(dps) => {
            put(file::DPS_ENDPOINT, &dps.endpoint.to_string());
            put(file::ID_SCOPE, dps.id_scope.as_str());
        }
    }
    if let Some(ca) = &issued.trusted_ca {
        put(file::TRUSTED_CA, ca);
    }
    data
}
