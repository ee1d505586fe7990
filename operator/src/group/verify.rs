//! Issues verification certificates, and deletes those without a code. Writes to the cluster.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use lanyard_crds::slot::InUse;
use lanyard_crds::status::{Verification, VerificationStatus};

use super::possession;
use super::report::Verified;
use super::validate::GroupCas;
use crate::credential::issuer::Issuer;
use crate::device::apply::error::ApplyError;
use crate::device::apply::write::Applier;
use crate::fault::Fault;
use crate::group::observe::GroupObservation;
use crate::kubernetes::owner::Owner;
use crate::random;

/// Result of one code.
enum CodeResult {
    /// The certificate exists; it is reissued at this time.
    Until(Timestamp),
    /// There is no code.
    NotAsked,
    /// The CA is unusable, which is reported elsewhere; the previous certificate stays.
    NoIssuer,
    /// Cannot be issued or written.
    Faulty(Fault),
}

/// Answers the codes of both slots.
///
/// # Errors
/// An error of the API server that a retry may fix.
pub async fn verify(
    observed: &GroupObservation,
    cas: &GroupCas,
    applier: &Applier<'_>,
    now: Timestamp,
) -> Result<Verified, kube::Error> {
    let group = &observed.group;
    let before = group.status.as_ref().and_then(|status| status.verification.clone()).unwrap_or_default();
    let mut verified = Verified::default();
    let mut slots = [(InUse::Primary, before.primary), (InUse::Secondary, before.secondary)];
    for (slot, status) in &mut slots {
        let issuer = cas.issuers.iter().find(|(other, _)| other == slot).map(|(_, issuer)| issuer);
        match answer(observed, *slot, issuer, applier, now).await? {
            CodeResult::Until(again_at) => {
                verified.again_at = verified.again_at.into_iter().chain([again_at]).min();
                *status = possession::code(group, *slot).map(|code| Verification {
                    code: code.to_owned(),
                    secret_name: possession::secret_name(&group.name_any(), *slot),
                });
            }
            CodeResult::NotAsked => *status = None,
            CodeResult::NoIssuer => {}
            CodeResult::Faulty(fault) => {
                *status = None;
                verified.fault = verified.fault.or(Some(fault));
            }
        }
    }
    let [(_, primary), (_, secondary)] = slots;
    let status = VerificationStatus { primary, secondary };
    verified.status = (status != VerificationStatus::default()).then_some(status);
    Ok(verified)
}

async fn answer(
    observed: &GroupObservation,
    slot: InUse,
    issuer: Option<&Issuer>,
    applier: &Applier<'_>,
    now: Timestamp,
) -> Result<CodeResult, kube::Error> {
    let (group, owner) = (&observed.group, Owner::of(&*observed.group));
    let Some(code) = possession::code(group, slot) else {
        applier.remove::<Secret>(&owner, &possession::secret_name(&group.name_any(), slot)).await?;
        return Ok(CodeResult::NotAsked);
    };
    let Some(issuer) = issuer else { return Ok(CodeResult::NoIssuer) };
    let found = observed.issuers.iter().find(|seen| seen.slot == slot).and_then(|seen| seen.answer.as_ref());
    let answer = match possession::answer(code, issuer, found, random::random(), now) {
        Ok(answer) => answer,
        Err(fault) => return Ok(CodeResult::Faulty(fault)),
    };
    let written = applier.put(&owner, &possession::secret(group, slot, &answer)).await;
    Ok(match ApplyError::separate(written)? {
        Ok(_) => CodeResult::Until(possession::again_at(&answer, issuer)),
        Err(fault) => CodeResult::Faulty(fault),
    })
}
