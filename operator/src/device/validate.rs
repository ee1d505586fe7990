//! Second stage: what the device is to be, its group's template included, or what somebody has to change. Pure.

use kube::ResourceExt;
use lanyard_crds::agent::Agent;
use lanyard_crds::group::Template;
use lanyard_crds::stream;
use lanyard_protocol::handoff::config::{self, Format, Publish, Simulator, Source, Tag, Telemetry};
use lanyard_protocol::handoff::interval::Interval;
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::{DeviceId, IdScope, RegistrationId};

use super::observe::Observed;
use crate::fault::{Fault, Reason};

/// A device that can be worked for: everything inherited, every name checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Valid {
    /// Name of the object.
    pub name: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Its id at the hub.
    pub device_id: DeviceId,
    /// Where it connects.
    pub destination: Destination,
    /// Where its key comes from.
    pub key_source: KeySource,
    /// Name of the Secret for its credentials.
    pub secret_name: String,
    /// Announced to DPS and to the hub.
    pub model_id: Option<String>,
    /// Where tags are read.
    pub sources: Vec<Source>,
    /// What is read.
    pub tags: Vec<Tag>,
    /// How it is sent.
    pub telemetry: Telemetry,
    /// Where and with how much its agent runs.
    pub agent: Agent,
}

/// Where a device connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To this hub.
    Hub(config::Hub),
    /// To the hub that DPS assigns.
    Dps(config::Dps),
}

/// Where a device's key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Derived from the key of its group.
    Group {
        /// Name of the group.
        group: String,
        /// Name of the group's Secret.
        secret: String,
        /// Name of the key in it.
        key: &'static str,
    },
    /// Its own, from this Secret.
    Own {
        /// Name of the Secret.
        secret: String,
    },
}

/// What the device is to be.
///
/// # Errors
/// [`Fault`]: what somebody has to change.
pub fn validate(observed: &Observed) -> Result<Valid, Fault> {
    let device = &observed.device;
    let spec = &device.spec;
    if spec.blocked {
        return Err(Fault::new(
            Reason::Blocked,
            "spec.blocked is set: the agent is stopped and the credentials Secret deleted until it is unset",
        ));
    }
    if let Some(senior) = &observed.senior {
        let message = format!(
            "device id {:?} belongs to the older IoTDevice {senior} already: give this one another deviceId or delete one of them",
            device.device_id()
        );
        return Err(Fault::new(Reason::DuplicateDeviceId, message));
    }
    let device_id = DeviceId::new(device.device_id()).map_err(|error| invalid("deviceId", error))?;
    let (destination, key_source) = where_to(observed, &device_id)?;
    let template = observed.group.as_ref().and_then(|group| group.spec.template.clone()).unwrap_or_default();
    let Template { model_id, sources, tags, telemetry, agent } = template;
    let name = device.name_any();
    let secret_name = spec.credentials.as_ref().and_then(|credentials| credentials.secret_name.clone());
    Ok(Valid {
        namespace: device.namespace().unwrap_or_default(),
        device_id,
        destination,
        key_source,
        secret_name: secret_name.unwrap_or_else(|| format!("{name}-credentials")),
        model_id: spec.model_id.clone().or(model_id),
        sources: spec.sources.clone().or(sources).unwrap_or_default().into_iter().map(source).collect(),
        tags: tags_of(spec.tags.clone().or(tags).unwrap_or_default())?,
        telemetry: telemetry_of(spec.telemetry.clone().or(telemetry).unwrap_or_default())?,
        agent: spec.agent.clone().or(agent).unwrap_or_default(),
        name,
    })
}

fn invalid(field: &str, error: impl std::fmt::Display) -> Fault {
    Fault::new(Reason::InvalidSpec, format!("{field}: {error}"))
}

fn where_to(observed: &Observed, device_id: &DeviceId) -> Result<(Destination, KeySource), Fault> {
    let spec = &observed.device.spec;
    match (&spec.hub, &spec.group_ref, &observed.group) {
        (Some(hub), None, _) => {
            let key =
                hub.auth.symmetric_key.as_ref().ok_or_else(|| invalid("hub.auth", "set symmetricKey"))?;
            let gateway = hub.gateway_hostname.as_deref().map(HostPort::parse).transpose();
            let destination = Destination::Hub(config::Hub {
                hostname: HostPort::parse(&hub.hostname).map_err(|error| invalid("hub.hostname", error))?,
                gateway_hostname: gateway.map_err(|error| invalid("hub.gatewayHostname", error))?,
            });
            Ok((destination, KeySource::Own { secret: key.secret_ref.name.clone() }))
        }
        (None, Some(reference), Some(group)) => {
            // DPS registers fewer ids than hubs take, and metadata.name may stand for the id.
            RegistrationId::new(device_id.as_str()).map_err(|error| invalid("deviceId", error))?;
            let dps = &group.spec.dps;
            let in_group = |field: &str| format!("dps.{field} of ProvisioningGroup {}", reference.name);
            let destination = Destination::Dps(config::Dps {
                endpoint: HostPort::parse(&dps.endpoint)
                    .map_err(|error| invalid(&in_group("endpoint"), error))?,
                id_scope: IdScope::new(dps.id_scope.as_str())
                    .map_err(|error| invalid(&in_group("idScope"), error))?,
                registration_id: None,
            });
            let key = group.spec.attestation.symmetric_key.as_ref();
            let key = key.ok_or_else(|| {
                invalid("attestation", format!("set symmetricKey in ProvisioningGroup {}", reference.name))
            })?;
            let source = KeySource::Group {
                group: reference.name.clone(),
                secret: key.secret_ref.name.clone(),
                key: key.key_in_use.secret_key(),
            };
            Ok((destination, source))
        }
        (None, Some(reference), None) => {
            let message = format!(
                "there is no ProvisioningGroup {:?} in this namespace: create it or correct groupRef.name",
                reference.name
            );
            Err(Fault::new(Reason::GroupNotFound, message))
        }
        _ => Err(invalid("spec", "set exactly one of groupRef and hub")),
    }
}

fn source(source: stream::Source) -> Source {
    Source { name: source.name, simulator: source.simulator.map(|stream::Simulator {}| Simulator {}) }
}

fn interval(field: &str, interval: Option<&stream::Interval>, default: Interval) -> Result<Interval, Fault> {
    interval
        .map_or(Ok(default), |interval| Interval::parse(&interval.0).map_err(|error| invalid(field, error)))
}

fn tags_of(tags: Vec<stream::Tag>) -> Result<Vec<Tag>, Fault> {
    let convert = |tag: stream::Tag| {
        let field = format!("scanInterval of tag {}", tag.name);
        Ok(Tag {
            scan_interval: interval(&field, tag.scan_interval.as_ref(), Tag::default_scan_interval())?,
            publish: match tag.publish {
                None | Some(stream::Publish::OnChange) => Publish::OnChange,
                Some(stream::Publish::EveryScan) => Publish::EveryScan,
            },
            name: tag.name,
            source: tag.source,
            address: tag.address,
        })
    };
    tags.into_iter().map(convert).collect()
}

fn telemetry_of(telemetry: stream::Telemetry) -> Result<Telemetry, Fault> {
    let default = Telemetry::default();
    Ok(Telemetry {
        format: match telemetry.format {
            None | Some(stream::Format::Narrow) => Format::Narrow,
            Some(stream::Format::Wide) => Format::Wide,
        },
        interval: interval("telemetry.interval", telemetry.interval.as_ref(), default.interval)?,
        max_events: telemetry.max_events.unwrap_or(default.max_events),
        qos: telemetry.qos.unwrap_or(default.qos),
        timeout: interval("telemetry.timeout", telemetry.timeout.as_ref(), default.timeout)?,
        properties: telemetry.properties.unwrap_or_default(),
        content_type: telemetry.content_type.or(default.content_type),
        content_encoding: telemetry.content_encoding.or(default.content_encoding),
    })
}
