//! Fourth stage: the objects that a device needs, whole. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};
use lanyard_crds::IoTDevice;
use lanyard_crds::agent::AgentMode;
use lanyard_handoff::config::{self, AgentConfig, Device};
use lanyard_handoff::credentials as file;
use lanyard_protocol::document::problem::Problem;
use lanyard_protocol::hub::connection_string::DeviceConnectionString;

use super::claim;
use super::defaults::AgentDefaults;
use super::issue::Issued;
use super::name;
use super::validate::{Destination, Valid};
use super::workload;
use crate::credential::stored::Credential;
use crate::device::labels::labels;
use crate::fault::Fault;
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

/// The objects that the device needs.
///
/// # Errors
/// [`Fault`]: every problem in what the agent would get to read.
pub fn plan(
    device: &IoTDevice,
    valid: &Valid,
    issued: Issued,
    defaults: &AgentDefaults,
) -> Result<Plan, Fault> {
    let owner = owner(device)?;
    let meta = |name: String| ObjectMeta {
        name: Some(name),
        namespace: Some(valid.namespace.clone()),
        labels: Some(labels(&valid.name)),
        owner_references: Some(vec![owner.clone()]),
        ..ObjectMeta::default()
    };
    let agent = || -> Result<(ConfigMap, StatefulSet), Fault> {
        let configuration = ConfigMap {
            metadata: meta(name::workload(&valid.name)),
            data: Some(BTreeMap::from([(config::FILE_NAME.to_owned(), configuration(valid)?)])),
            ..ConfigMap::default()
        };
        let workload = StatefulSet {
            metadata: meta(name::workload(&valid.name)),
            spec: Some(workload::spec(valid, defaults)),
            status: None,
        };
        Ok((configuration, workload))
    };
    let (claim, configuration, workload) = match valid.agent.mode.unwrap_or_default() {
        AgentMode::Dedicated => {
            let (configuration, workload) = agent()?;
            let claim = claim::planned(valid, meta(name::claim(&valid.name)));
            (claim, Some(configuration), Some(workload))
        }
        AgentMode::None => (None, None, None),
    };
    Ok(Plan {
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
    })
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

fn owner(device: &IoTDevice) -> Result<OwnerReference, Fault> {
    let owner = device.controller_owner_ref(&());
    owner.ok_or_else(|| {
        Fault::new(Reason::InvalidSpec, "the object has no name or uid, which the API server always gives")
    })
}

/// The type that other software looks for.
const fn secret_type(current: &Credential) -> &'static str {
    match current {
        Credential::Key(_) => "Opaque",
        Credential::Certificate(_) => "kubernetes.io/tls",
    }
}

/// The keys of the Secret: some for the agent, the others for software that uses the Secret without an agent.
fn credentials(valid: &Valid, issued: &Issued) -> BTreeMap<String, ByteString> {
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

/// The agent's configuration document.
fn configuration(valid: &Valid) -> Result<String, Fault> {
    let (hub, dps) = match valid.destination.clone() {
        Destination::Hub(hub) => (Some(hub), None),
        Destination::Dps(dps) => (None, Some(dps)),
    };
    let device = Device {
        name: valid.name.clone(),
        device_id: valid.device_id.clone(),
        uid: valid.uid.clone(),
        model_id: valid.model_id.clone(),
        hub,
        dps,
        sources: valid.sources.clone(),
        tags: valid.tags.clone(),
        telemetry: valid.telemetry.clone(),
        buffer: valid.buffer.clone(),
        last_will: valid.last_will.clone(),
    };
    let document = AgentConfig { version: config::VERSION, devices: vec![device] };
    let problems = document.problems();
    if problems.is_empty() {
        return Ok(document.to_text());
    }
    let words = |problem: &Problem| {
        format!("{}: {}", problem.field.trim_start_matches("devices[0]."), problem.message)
    };
    Err(Fault::new(Reason::InvalidSpec, problems.iter().map(words).collect::<Vec<_>>().join("; ")))
}
