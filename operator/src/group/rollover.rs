//! Progress of a group's devices to its key or CA in use. Pure.

use std::sync::Arc;

use kube::ResourceExt;
use lanyard_crds::IoTDevice;
use lanyard_crds::status::{CredentialsProof, Refusal, RolloverStatus};
use lanyard_handoff::fingerprint::Fingerprint;

use crate::conditions::{CREDENTIALS_READY, find};

/// Most refusals that a status repeats.
const MAX_REFUSALS: usize = 10;

/// Counts the devices that have credentials.
#[must_use]
pub fn status(devices: &[Arc<IoTDevice>], issuer: &Fingerprint) -> RolloverStatus {
    let mut status = RolloverStatus { issuer_fingerprint: issuer.to_string(), ..RolloverStatus::default() };
    for device in devices {
        let Some(credentials) = device.status.as_ref().and_then(|status| status.credentials.as_ref()) else {
            continue;
        };
        if credentials.issuer_fingerprint.as_deref() != Some(issuer.as_str()) {
            status.pending += 1;
            continue;
        }
        match credentials.proof {
            Some(CredentialsProof::Accepted) => status.moved += 1,
            Some(CredentialsProof::Refused) => {
                status.refused += 1;
                status.refusals.push(refusal(device));
            }
            Some(CredentialsProof::Untried) | None => status.untried += 1,
        }
    }
    // The mirror has no order.
    status.refusals.sort_by(|one, other| one.device.cmp(&other.device));
    status.refusals.truncate(MAX_REFUSALS);
    status
}

fn refusal(device: &IoTDevice) -> Refusal {
    let status = device.status.as_ref();
    let ready = status.and_then(|status| find(&status.conditions, CREDENTIALS_READY));
    // Without a credential to return to, the connection says why.
    let connection =
        status.and_then(|status| status.connection.as_ref()).map(|connection| &connection.message);
    let message = ready.filter(|ready| ready.status == "False").map(|ready| &ready.message).or(connection);
    Refusal { device: device.name_any(), message: message.cloned().unwrap_or_default() }
}
