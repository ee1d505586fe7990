//! Works for a group's lists: devices that come in, and credentials that go out. Writes the cluster.

use kube::ResourceExt;
use lanyard_crds::ProvisioningGroup;
use lanyard_crds::bulk::OnRemoval;

use crate::clock;
use crate::device;
use crate::device::written::Written;
use crate::fault::Fault;
use crate::group::apply::{ImportApplier, Imported};
use crate::group::context::GroupContext;
use crate::group::list_status::{Exported, Lists};
use crate::group::observe::GroupObservation;
use crate::group::{device_list, export, import};
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
    let wanted = GroupReferences::of(group).export;
    let exported = match (wanted, faulty) {
        (None, _) => None,
        (Some(name), _) if export::is_taken(group, name) => Some(Err(export::taken(group, name))),
        // The previous list still matches the devices.
        (Some(_), Some(fault)) => Some(Err(fault.clone())),
        (Some(name), None) => Some(deliver(observed, name, context).await?),
    };
    let former = group.status.as_ref().and_then(|status| status.export.as_ref());
    let former = former.map(|former| former.secret_name.as_str()).filter(|former| Some(*former) != wanted);
    let former = former.filter(|former| !export::is_taken(group, former));
    // The Secret of the former name is deleted after this one exists.
    if let (Some(former), None | Some(Ok(Exported { waits: None, .. }))) = (former, &exported) {
        applier(context).without_secret(&Owner::of(&**group), former).await?;
    }
    Ok(exported)
}

async fn deliver(
    observed: &GroupObservation,
    name: &str,
    context: &GroupContext,
) -> Result<Result<Exported, Fault>, kube::Error> {
    let group = &observed.group;
    let export = match export::export(name, &observed.devices, observed.key.as_ref()) {
        Ok(export) => export,
        Err(fault) => return Ok(Err(fault)),
    };
    let told = |devices| Exported { secret_name: name.to_owned(), devices, waits: None, later: None };
    let (uid, listing) = (group.uid().unwrap_or_default(), export.listing(name));
    if let Some((last, left)) = context.paces.early(&uid, &listing, clock::instant()) {
        return Ok(Ok(Exported { later: Some(left), ..told(last.devices) }));
    }
    let secret = export::secret(group, name, &export);
    Ok(match applier(context).secret(&Owner::of(&**group), &secret).await? {
        Ok(Written::Waiting(why) | Written::Contested(why, _)) => {
            Ok(Exported { waits: Some(why), ..told(export.devices) })
        }
        Ok(written) => {
            if written != Written::Unchanged {
                context.paces.written(&uid, listing, clock::instant());
            }
            Ok(told(export.devices))
        }
        Err(fault) if fault.reason == Reason::Conflict => Err(Fault::new(
            Reason::Conflict,
            format!("{}, or set export.secretName to another name", fault.message),
        )),
        Err(fault) => Err(fault),
    })
}

fn applier(context: &GroupContext) -> device::apply::Applier<'_> {
    device::apply::Applier {
        client: &context.client,
        view: &context.view,
        remembered: &context.remembered,
        metrics: &context.metrics,
        common_labels: &context.common_labels,
    }
}
