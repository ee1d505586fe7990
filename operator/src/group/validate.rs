//! Second stage: whether devices can be worked for with what the group says. Pure.

use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::IdScope;

use super::observe::Observed;
use crate::device::issue::{group_key, trusted_ca};
use crate::fault::{Fault, Reason};

/// Says which key the devices' keys come from, if everything is in order.
///
/// # Errors
/// [`Fault`]: what somebody has to change; never a part of a key.
pub fn validate(observed: &Observed) -> Result<String, Fault> {
    let spec = &observed.group.spec;
    let invalid = |field: &str, error: &dyn std::fmt::Display| {
        Fault::new(Reason::InvalidSpec, format!("{field}: {error}"))
    };
    IdScope::new(spec.dps.id_scope.as_str()).map_err(|error| invalid("dps.idScope", &error))?;
    HostPort::parse(&spec.dps.endpoint).map_err(|error| invalid("dps.endpoint", &error))?;
    let key = spec.attestation.symmetric_key.as_ref();
    let key = key.ok_or_else(|| invalid("attestation", &"set symmetricKey"))?;
    group_key(&key.secret_ref.name, key.key_in_use.secret_key(), observed.key.as_ref())?;
    trusted_ca(&observed.trusted_ca)?;
    Ok(format!(
        "the devices' keys are derived from {} in Secret {}",
        key.key_in_use.secret_key(),
        key.secret_ref.name
    ))
}
