//! Second stage: the device merged with its group's template, or the error that a user must fix. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use kube::ResourceExt;
use lanyard_crds::agent::{Agent, AgentMode};
use lanyard_crds::buffer::Storage;
use lanyard_crds::dps::Dps;
use lanyard_crds::group::DeviceTemplate;
use lanyard_crds::{IoTDevice, IoTDeviceSpec};
use lanyard_handoff::config::{self, AgentConfig};
use lanyard_protocol::document::problem::Problem;
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::{DeviceId, IdScope, RegistrationId};

use super::convert::{buffer_of, last_will_of, source, tags_of, telemetry_of};
use crate::credential::external::DeviceNames;
use crate::device::observe::observation::DeviceObservation;
use crate::device::validate::approval;
use crate::device::validate::origin::{self, Origin};
use crate::fault::Fault;
use crate::fault::invalid;
use crate::kubernetes::key::Key;
use crate::reason::Reason;

/// A device merged with its group's template. Every name in it is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveDevice {
    /// Name of the object.
    pub name: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Reference to the object, for what it owns.
    pub owner: OwnerReference,
    /// Its id at the hub.
    pub device_id: DeviceId,
    /// Hub or DPS of the device.
    pub destination: Destination,
    /// Origin of the credential.
    pub origin: Origin,
    /// Name of the Secret for its credentials.
    pub secret_name: String,
    /// Configuration document of the agent.
    pub configuration: AgentConfig,
    /// Volume of the buffer.
    pub storage: Storage,
    /// Mode, placement and resources of the agent.
    pub agent: Agent,
}

/// Hub or DPS of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To this hub.
    Hub(config::Hub),
    /// To the hub that DPS assigns.
    Dps(config::Dps),
}

/// Returns the device merged with its group's template.
///
/// # Errors
/// [`Fault`]: an error that a user must fix.
pub fn validate(observed: &DeviceObservation) -> Result<EffectiveDevice, Fault> {
    let device = &observed.device;
    let spec = &device.spec;
    if spec.blocked {
        return Err(Fault::new(
            Reason::Blocked,
            "spec.blocked is set: the operator removes the agent and the credentials Secret until you unset it",
        ));
    }
    if approval::waits_for_approval(device, observed.group.as_deref()) {
        let (group, command) = (reference_of(spec), approval::approval_command(device));
        let how = if spec.approved {
            format!(
                "the approval is for another group: withdraw it with `{command}`, then set approved: true again"
            )
        } else {
            format!("approve the device with `{command}`")
        };
        let message = format!("approval of ProvisioningGroup {group} is Manual: {how}");
        return Err(Fault::new(Reason::WaitingForApproval, message));
    }
    if let Some(holder) = &observed.contest.holder {
        return Err(taken(device, holder));
    }
    let device_id = DeviceId::new(device.device_id()).map_err(|error| invalid("deviceId", error))?;
    let (destination, origin) = where_to(observed, &device_id)?;
    let template = observed.group.as_ref().and_then(|group| group.spec.template.clone()).unwrap_or_default();
    let DeviceTemplate { model_id, sources, tags, telemetry, buffer, last_will, agent } = template;
    let buffer = spec.buffer.clone().or(buffer).unwrap_or_default();
    let storage = buffer.storage.clone().unwrap_or_default();
    let agent = spec.agent.clone().or(agent).unwrap_or_default();
    let (hub, dps) = match destination.clone() {
        Destination::Hub(hub) => (Some(hub), None),
        Destination::Dps(dps) => (None, Some(dps)),
    };
    let configured = config::Device {
        name: device.name_any(),
        device_id: device_id.clone(),
        uid: device.uid(),
        hub,
        dps,
        model_id: spec.model_id.clone().or(model_id),
        sources: spec.sources.clone().or(sources).unwrap_or_default().into_iter().map(source).collect(),
        tags: tags_of(spec.tags.clone().or(tags).unwrap_or_default())?,
        telemetry: telemetry_of(*spec.telemetry.clone().or(telemetry).unwrap_or_default())?,
        buffer: buffer_of(*buffer)?,
        last_will: spec.last_will.clone().or(last_will).map(|will| last_will_of(*will)),
    };
    let configuration = AgentConfig { version: config::VERSION, devices: vec![configured] };
    if agent.mode.unwrap_or_default() == AgentMode::Dedicated {
        refuse_problems(&configuration)?;
    }
    let owner = device.controller_owner_ref(&()).ok_or_else(|| {
        Fault::new(Reason::InvalidSpec, "the object has no name or uid, which the API server always sets")
    })?;
    Ok(EffectiveDevice {
        name: device.name_any(),
        namespace: device.namespace().unwrap_or_default(),
        owner,
        device_id,
        destination,
        origin,
        secret_name: crate::device::plan::name::credentials(device),
        configuration,
        storage,
        agent: *agent,
    })
}

impl EffectiveDevice {
    /// Returns the capacity of the buffer in bytes.
    #[must_use]
    pub fn buffer_capacity(&self) -> u64 {
        self.configuration.devices.iter().map(|device| device.buffer.capacity.get()).sum()
    }
}

/// Refuses a configuration that the agent would refuse, with every problem.
fn refuse_problems(configuration: &AgentConfig) -> Result<(), Fault> {
    let problems = configuration.problems();
    if problems.is_empty() {
        return Ok(());
    }
    let words = |problem: &Problem| {
        format!("{}: {}", problem.field.trim_start_matches("devices[0]."), problem.message)
    };
    Err(Fault::new(Reason::InvalidSpec, problems.iter().map(words).collect::<Vec<_>>().join("; ")))
}

/// Returns the error for an identity that another object has. An object of another namespace is not named: its owner may be another tenant.
fn taken(device: &IoTDevice, holder: &Key) -> Fault {
    let id = device.device_id();
    let message = if device.namespace().as_deref() == Some(&holder.namespace) {
        let name = &holder.name;
        format!(
            "the identity of device id {id:?} belongs to IoTDevice {name}: delete one of the two, or give this one another deviceId"
        )
    } else {
        format!(
            "the identity of device id {id:?} is taken by an object in another namespace: use another device id, or \
             ask the administrator of the operator, whose log names the object"
        )
    };
    Fault::new(Reason::DuplicateDeviceId, message)
}

fn reference_of(spec: &IoTDeviceSpec) -> &str {
    spec.group_ref.as_ref().map_or("", |reference| reference.name.as_str())
}

fn where_to(observed: &DeviceObservation, device_id: &DeviceId) -> Result<(Destination, Origin), Fault> {
    let spec = &observed.device.spec;
    match (&spec.hub, &spec.dps, &spec.group_ref) {
        (Some(hub), None, None) => {
            let gateway = hub.gateway_hostname.as_deref().map(HostPort::parse).transpose();
            let destination = Destination::Hub(config::Hub {
                hostname: HostPort::parse(&hub.hostname).map_err(|error| invalid("hub.hostname", error))?,
                gateway_hostname: gateway.map_err(|error| invalid("hub.gatewayHostname", error))?,
            });
            Ok((destination, origin::own(&hub.auth, "hub.auth", device_id.as_str(), DeviceNames::Exact)?))
        }
        (None, Some(individual), None) => {
            let id = individual.registration_id.as_deref();
            let field = if id.is_some() { "dps.registrationId" } else { "deviceId" };
            let id = RegistrationId::new(id.unwrap_or(device_id.as_str()))
                .map_err(|error| invalid(field, error))?;
            let origin = origin::own(&individual.auth, "dps.auth", id.as_str(), DeviceNames::AnyCase)?;
            Ok((to_dps(&individual.service, device_id, id, |field| format!("dps.{field}"))?, origin))
        }
        (None, None, Some(reference)) => in_group(observed, &reference.name, device_id),
        _ => Err(invalid("spec", "set exactly one of groupRef, hub and dps")),
    }
}

fn in_group(
    observed: &DeviceObservation,
    name: &str,
    device_id: &DeviceId,
) -> Result<(Destination, Origin), Fault> {
    let Some(group) = &observed.group else {
        let message = format!(
            "there is no ProvisioningGroup {name:?} in this namespace: create it or correct groupRef.name"
        );
        return Err(Fault::new(Reason::GroupNotFound, message));
    };
    // DPS compares registration ids without case, but keys are derived from the exact text (ref §0.3 rule 10), and a
    // certificate's name is safest when it is the registration id exactly (ref §9.1): small letters.
    let text = match group.spec.attestation.x509 {
        Some(_) => device_id.as_str().to_ascii_lowercase(),
        None => device_id.as_str().to_owned(),
    };
    // DPS registers fewer ids than hubs take, and metadata.name may be the id.
    let id = RegistrationId::new(text).map_err(|error| invalid("deviceId", error))?;
    let origin = origin::of_group(name, group, id.as_str())?;
    let field = |field: &str| format!("dps.{field} of ProvisioningGroup {name}");
    Ok((to_dps(&group.spec.dps, device_id, id, field)?, origin))
}

fn to_dps(
    service: &Dps,
    device_id: &DeviceId,
    id: RegistrationId,
    field: impl Fn(&str) -> String,
) -> Result<Destination, Fault> {
    Ok(Destination::Dps(config::Dps {
        endpoint: HostPort::parse(&service.endpoint).map_err(|error| invalid(&field("endpoint"), error))?,
        id_scope: IdScope::new(service.id_scope.as_str())
            .map_err(|error| invalid(&field("idScope"), error))?,
        registration_id: (id.as_str() != device_id.as_str()).then_some(id),
    }))
}
