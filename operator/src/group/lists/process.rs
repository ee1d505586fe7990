//! Works for a group's lists: devices that come in, and credentials that go out. Writes the cluster.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use lanyard_crds::ProvisioningGroup;
use lanyard_crds::bulk::OnRemoval;

use crate::clock;
use crate::device::apply::error::ApplyError;
use crate::device::apply::write::Applier;
use crate::device::apply::written::Written;
use crate::fault::Fault;
use crate::group::context::GroupContext;
use crate::group::lists::apply::{ImportApplier, Imported};
use crate::group::lists::status::{Exported, Lists};
use crate::group::lists::{device_list, export, import};
use crate::group::observe::GroupObservation;
use crate::kubernetes::owner::Owner;
use crate::reason::Reason;
use crate::references::group::GroupReferences;

/// Works for both lists; `faulty` is what keeps the devices from getting credentials.
///
/// # Errors
/// An error of the API server that a retry may fix.
pub async fn work(
    observed: &GroupObservation,
    faulty: Option<&Fault>,
    context: &GroupContext,
) -> Result<Lists, kube::Error> {
    let import = import(observed, context).await?;
    let export = export(observed, faulty, context).await?;
    Ok(Lists { import, export })
}

async fn import(
    observed: &GroupObservation,
    context: &GroupContext,
) -> Result<Option<Result<Imported, Fault>>, kube::Error> {
    let list = match device_list::found(&observed.group, &observed.list) {
        None => return Ok(None),
        Some(Err(fault)) => return Ok(Some(Err(fault))),
        Some(Ok(list)) => list,
    };
    let applier =
        ImportApplier { client: &context.client, refusals: &context.refusals, metrics: &context.metrics };
    let work = import::plan(&observed.group, &list, &observed.neighbours);
    let imported = applier.import(&observed.group, work).await?;
    let incomplete = !list.complete && deletes(&observed.group);
    Ok(Some(Ok(Imported { rows: list.rows(), incomplete, ..imported })))
}

fn deletes(group: &ProvisioningGroup) -> bool {
    group.spec.import.as_ref().is_some_and(|import| import.on_removal == Some(OnRemoval::Delete))
}

async fn export(
    observed: &GroupObservation,
    faulty: Option<&Fault>,
    context: &GroupContext,
) -> Result<Option<Result<Exported, Fault>>, kube::Error> {
    let group = &observed.group;
    let requested = GroupReferences::of(group).export;
    let exported = match (requested, faulty) {
        (None, _) => None,
        (Some(name), _) if export::is_taken(group, name) => Some(Err(export::taken(group, name))),
        // The previous list still matches the devices.
        (Some(_), Some(fault)) => Some(Err(fault.clone())),
        (Some(name), None) => Some(ApplyError::separate(deliver(observed, name, context).await)?),
    };
    let former = group.status.as_ref().and_then(|status| status.export.as_ref());
    let former = former.map(|former| former.secret_name.as_str()).filter(|former| Some(*former) != requested);
    let former = former.filter(|former| !export::is_taken(group, former));
    // The Secret of the former name is deleted after this one exists.
    if let (Some(former), None | Some(Ok(Exported { waits: None, .. }))) = (former, &exported) {
        applier(context).remove::<Secret>(&Owner::of(&**group), former).await?;
    }
    Ok(exported)
}

async fn deliver(
    observed: &GroupObservation,
    name: &str,
    context: &GroupContext,
) -> Result<Exported, ApplyError> {
    let group = &observed.group;
    let export = export::export(name, &observed.devices, observed.key.as_ref())?;
    let exported = |devices| Exported { secret_name: name.to_owned(), devices, waits: None, later: None };
    let (uid, listing) = (group.uid().unwrap_or_default(), export.listing(name));
    if let Some((last, left)) = context.paces.early(&uid, &listing, clock::instant()) {
        return Ok(Exported { later: Some(left), ..exported(last.devices) });
    }
    let secret = export::secret(group, name, &export);
    match applier(context).put(&Owner::of(&**group), &secret).await {
        Ok(Written::Waiting(why) | Written::Contested(why, _)) => {
            Ok(Exported { waits: Some(why), ..exported(export.devices) })
        }
        Ok(written) => {
            if written != Written::Unchanged {
                context.paces.written(&uid, listing, clock::instant());
            }
            Ok(exported(export.devices))
        }
        Err(ApplyError::Fault(fault)) if fault.reason == Reason::Conflict => {
            let message = format!("{}, or set export.secretName to another name", fault.message);
            Err(Fault::new(Reason::Conflict, message).into())
        }
        Err(error) => Err(error),
    }
}

fn applier(context: &GroupContext) -> Applier<'_> {
    Applier {
        client: &context.client,
        view: &context.view,
        remembered: &context.remembered,
        metrics: &context.metrics,
        common_labels: &context.common_labels,
    }
}
