//! Consent and limits of what an object refers to, checked after its names and before anything is issued. Pure.

use lanyard_crds::slot::InUse;
use lanyard_protocol::hub::host::HostPort;

use crate::credential::bounds::{self, Endpoints, KeyDestination};
use crate::credential::consent::{self, Use, UseRequest};
use crate::device::observe::observation::DeviceObservation;
use crate::device::validate::effective::{Destination, EffectiveDevice};
use crate::device::validate::origin::Origin;
use crate::fault::Fault;
use crate::group;
use crate::kubernetes::found::CaSecret;
use crate::kubernetes::found::ClaimSeen;
use crate::kubernetes::labels::{SHARED_LABEL, SHARED_VALUE};
use crate::reason::Reason;

/// Rules of the administrator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// True if a Secret without a declared use is refused.
    pub explicit_use: bool,
    /// DPS endpoints to which tokens may be sent.
    pub endpoints: Endpoints,
}

/// Checks what a device refers to.
///
/// # Errors
/// [`Fault`]: what its owner, or the owner of the Secret or claim, has to change.
pub fn device(observed: &DeviceObservation, valid: &EffectiveDevice, rules: &Rules) -> Result<(), Fault> {
    let destination = match &valid.destination {
        Destination::Hub(hub) => {
            KeyDestination::Hub { hostname: &hub.hostname, gateway: hub.gateway_hostname.as_ref() }
        }
        Destination::Dps(dps) => {
            let field = match &observed.device.spec.group_ref {
                Some(group) => format!("dps.endpoint of ProvisioningGroup {}", group.name),
                None => "dps.endpoint".to_owned(),
            };
            rules.endpoints.check(&dps.endpoint, &field)?;
            KeyDestination::Dps { endpoint: &dps.endpoint, id_scope: dps.id_scope.as_str() }
        }
    };
    let request = match &valid.origin {
        Origin::Group { secret, .. } => Some((secret, Use::GroupKey)),
        Origin::Own { secret } => Some((secret, Use::DeviceKey)),
        Origin::Kept { secret, .. } => Some((secret, Use::DeviceCertificate)),
        Origin::Issued { secret, .. } => Some((secret, Use::Issuer)),
        Origin::SelfSigned(_) => None,
    };
    let namespace = valid.namespace.as_str();
    if let (Some((secret, purpose)), Some(data)) = (request, &observed.key) {
        let group = observed.key_of_group.as_deref();
        consent::check(UseRequest { namespace, secret, purpose, group, explicit: rules.explicit_use }, data)?;
        bounds::check(secret, data, destination, Some(valid.device_id.as_str()))?;
    }
    trusted_ca(namespace, observed.ca_secret.as_ref(), rules)?;
    claim(valid, observed.existing_claim)
}

fn trusted_ca(namespace: &str, found: Option<&CaSecret>, rules: &Rules) -> Result<(), Fault> {
    let Some(CaSecret { name, marks }) = found else { return Ok(()) };
    let explicit = rules.explicit_use;
    consent::check(
        UseRequest { namespace, secret: name, purpose: Use::TrustedCa, group: None, explicit },
        marks,
    )
}

fn claim(valid: &EffectiveDevice, seen: ClaimSeen) -> Result<(), Fault> {
    let Some(claim) = &valid.storage.existing_claim else { return Ok(()) };
    let (namespace, claim) = (&valid.namespace, &claim.name);
    let command = format!("`kubectl -n {namespace} label pvc {claim} {SHARED_LABEL}={SHARED_VALUE}`");
    let message = match seen {
        ClaimSeen::Shared | ClaimSeen::NotAsked => return Ok(()),
        ClaimSeen::Missing => format!(
            "there is no PersistentVolumeClaim {claim:?} in this namespace: create it with the label \
                {SHARED_LABEL}: {SHARED_VALUE}, or correct buffer.storage.existingClaim"
        ),
        ClaimSeen::Unlabelled => format!(
            "PersistentVolumeClaim {claim:?} does not have the label that permits buffers: ask its owner to run {command}"
        ),
    };
    Err(Fault::new(Reason::ClaimNotShared, message))
}

/// Checks what a group refers to, but for its CAs.
///
/// # Errors
/// [`Fault`]: what its owner, or the owner of a Secret, has to change.
pub fn group(observed: &group::observe::GroupObservation, rules: &Rules) -> Result<(), Fault> {
    let (spec, namespace) = (&observed.group.spec, namespace(observed));
    let invalid =
        |error: &dyn std::fmt::Display| Fault::new(Reason::InvalidSpec, format!("dps.endpoint: {error}"));
    let endpoint = HostPort::parse(&spec.dps.endpoint);
    let endpoint = endpoint.map_err(|error| invalid(&error))?;
    rules.endpoints.check(&endpoint, "dps.endpoint")?;
    if let (Some(key), Some(data)) = (&spec.attestation.symmetric_key, &observed.key) {
        let (secret, explicit) = (key.secret_ref.name.as_str(), rules.explicit_use);
        consent::check(
            UseRequest { namespace, secret, purpose: Use::GroupKey, group: None, explicit },
            data,
        )?;
        let destination = KeyDestination::Dps { endpoint: &endpoint, id_scope: &spec.dps.id_scope };
        bounds::check(secret, data, destination, None)?;
    }
    trusted_ca(namespace, observed.ca_secret.as_ref(), rules)
}

/// Checks that the Secret of a group's CA may sign for it.
///
/// # Errors
/// [`Fault`]: what the owner of the Secret has to change.
pub fn issuer(observed: &group::observe::GroupObservation, slot: InUse, rules: &Rules) -> Result<(), Fault> {
    let Some(seen) = observed.issuers.iter().find(|seen| seen.slot == slot) else { return Ok(()) };
    let (Some(data), spec) = (&seen.data, &observed.group.spec) else { return Ok(()) };
    let (secret, explicit) = (seen.secret.as_str(), rules.explicit_use);
    let namespace = namespace(observed);
    consent::check(UseRequest { namespace, secret, purpose: Use::Issuer, group: None, explicit }, data)?;
    match HostPort::parse(&spec.dps.endpoint) {
        Ok(endpoint) => bounds::check(
            secret,
            data,
            KeyDestination::Dps { endpoint: &endpoint, id_scope: &spec.dps.id_scope },
            None,
        ),
        // Told of the group itself.
        Err(_) => Ok(()),
    }
}

fn namespace(observed: &group::observe::GroupObservation) -> &str {
    observed.group.metadata.namespace.as_deref().unwrap_or_default()
}
