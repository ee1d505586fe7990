//! The conditions `Imported` and `Exported`, and the status of a group's lists. Pure.

use std::time::Duration;

use lanyard_crds::status::{ExportStatus, ImportStatus, ProvisioningGroupStatus};

use crate::conditions::{Aspect, ConditionStatus, EXPORTED, IMPORTED};
use crate::fault::Fault;
use crate::group::lists::apply::Imported;
use crate::reason::Reason;
use crate::reason::Severity;

/// Most mistakes of a list that a status repeats.
const MAX_MISTAKES: usize = 20;

/// State of a group's lists after a reconcile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// The devices that come in, if there is a list of them.
    pub import: Option<Result<Imported, Fault>>,
    /// The devices that go out, if there is to be a list of them.
    pub export: Option<Result<Exported, Fault>>,
}

/// State of the exported list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Name of its Secret.
    pub secret_name: String,
    /// Devices in it.
    pub devices: usize,
    /// Reason to wait for something that must end or calm down first.
    pub waits: Option<String>,
    /// Time until a newer list may be written, if there is one.
    pub later: Option<Duration>,
}

impl Lists {
    /// Returns the first error that a user must fix.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        let import = self.import.as_ref().and_then(|import| import.as_ref().err());
        import.or_else(|| self.export.as_ref().and_then(|export| export.as_ref().err()))
    }

    /// Returns whether the first unfinished list continues without a user.
    #[must_use]
    pub fn works(&self) -> bool {
        self.worst().is_some_and(|aspect| aspect.reason.severity() == Severity::Progress)
    }

    /// Returns the time until the exported list may be written again, if it has changed.
    #[must_use]
    pub fn later(&self) -> Option<Duration> {
        self.export.as_ref()?.as_ref().ok()?.later
    }

    /// Returns the conditions of the lists.
    #[must_use]
    pub fn aspects(&self) -> Vec<(&'static str, Aspect)> {
        let import = self.import.as_ref().map(|import| (IMPORTED, import_aspect(import)));
        let export = self.export.as_ref().map(|export| (EXPORTED, export_aspect(export)));
        import.into_iter().chain(export).collect()
    }

    /// Returns the first condition of a list that is not true.
    #[must_use]
    pub fn worst(&self) -> Option<Aspect> {
        self.aspects()
            .into_iter()
            .map(|(_, aspect)| aspect)
            .find(|aspect| aspect.status != ConditionStatus::True)
    }
}

fn import_aspect(import: &Result<Imported, Fault>) -> Aspect {
    let imported = match import {
        Ok(imported) => imported,
        Err(fault) => return Aspect::from_fault(fault),
    };
    let Imported { rows, done, mistakes, incomplete, left, spared, .. } = imported;
    if *left > 0 {
        return Aspect::new(false, Reason::Importing, format!("{done} of {rows} rows have their device"));
    }
    if *spared > 0 {
        let message = format!(
            "the list has lost the rows of {spared} devices, more than import.maxRemovedPercent allows, so none is deleted: put the rows \
             back, remove rows in smaller parts, or raise import.maxRemovedPercent"
        );
        return Aspect::new(false, Reason::RemovalRefused, message);
    }
    let Some(first) = mistakes.first() else {
        return Aspect::new(true, Reason::Imported, format!("all {rows} rows have their device"));
    };
    let kept = if *incomplete { "; until every row can be read no device is deleted" } else { "" };
    let message = format!(
        "{} of {rows} rows are wrong, status.import.mistakes has the first {MAX_MISTAKES}; line {}: {}{kept}",
        mistakes.len(),
        first.line,
        first.message
    );
    Aspect::new(false, Reason::RowsRejected, message)
}

fn export_aspect(export: &Result<Exported, Fault>) -> Aspect {
    match export {
        Err(fault) => Aspect::from_fault(fault),
        Ok(Exported { waits: Some(why), .. }) => Aspect::new(false, Reason::Waiting, why.clone()),
        Ok(Exported { secret_name, devices, waits: None, .. }) => {
            Aspect::new(true, Reason::Exported, format!("Secret {secret_name} lists {devices} devices"))
        }
    }
}

/// Returns the status of the imported list. A list that cannot be read keeps the previous status.
#[must_use]
pub fn import_status(lists: &Lists, before: &ProvisioningGroupStatus) -> Option<ImportStatus> {
    match lists.import.as_ref()? {
        Ok(imported) => Some(ImportStatus {
            rows: count(imported.rows),
            imported: count(imported.done),
            failed: count(imported.mistakes.len()),
            mistakes: imported.mistakes.iter().take(MAX_MISTAKES).cloned().collect(),
        }),
        Err(_) => before.import.clone(),
    }
}

/// Returns the status of the exported list. A list that cannot be written keeps the previous status.
#[must_use]
pub fn export_status(lists: &Lists, before: &ProvisioningGroupStatus) -> Option<ExportStatus> {
    match lists.export.as_ref()? {
        Ok(exported) => {
            Some(ExportStatus { secret_name: exported.secret_name.clone(), devices: count(exported.devices) })
        }
        Err(_) => before.export.clone(),
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use lanyard_crds::status::ImportMistake;

    use super::*;
    use crate::reason::Reason;

    fn imported(left: usize, mistakes: u32) -> Option<Result<Imported, Fault>> {
        let mistake = |line| ImportMistake { line, message: format!("m{line}") };
        let mistakes = (2..2 + mistakes).map(mistake).collect();
        Some(Ok(Imported { rows: 100, done: 60, mistakes, left, ..Imported::default() }))
    }

    #[test]
    fn progress_is_reported_before_errors() {
        let fault = || Some(Err(Fault::new(Reason::ImportNotFound, "f")));
        for (import, reason, works) in [
            (imported(0, 0), None, false),
            (imported(7, 3), Some(Reason::Importing), true),
            (imported(0, 3), Some(Reason::RowsRejected), false),
            (fault(), Some(Reason::ImportNotFound), false),
            (None, None, false),
        ] {
            let lists = Lists { import, export: None };
            assert_eq!((lists.worst().map(|aspect| aspect.reason), lists.works()), (reason, works));
        }
    }

    #[test]
    fn spared_devices_are_reported_before_mistakes() {
        let Some(Ok(imported)) = imported(0, 3) else { unreachable!() };
        let lists = Lists { import: Some(Ok(Imported { spared: 12, ..imported })), export: None };
        assert_eq!(lists.worst().unwrap().reason, Reason::RemovalRefused);
    }

    #[test]
    fn exported_list_is_reported_with_its_size() {
        let later = Some(Duration::from_secs(3));
        let exported = Exported { secret_name: "out".to_owned(), devices: 7, waits: None, later };
        let lists = |export| Lists { import: None, export: Some(export) };
        let before = ProvisioningGroupStatus::default();
        let done = lists(Ok(exported));
        let status = export_status(&done, &before);
        assert_eq!(status, Some(ExportStatus { secret_name: "out".to_owned(), devices: 7 }));
        assert_eq!(done.later(), later);
        // A list that cannot be written keeps the previous status.
        let before = ProvisioningGroupStatus { export: status.clone(), ..before };
        let lost = lists(Err(Fault::new(Reason::Conflict, "f")));
        assert_eq!((export_status(&lost, &before), lost.later()), (status, None));
        assert_eq!(export_status(&Lists::default(), &before), None);
    }

    #[test]
    fn a_status_repeats_the_first_mistakes_only() {
        let before = ProvisioningGroupStatus::default();
        let status = import_status(&Lists { import: imported(0, 90), export: None }, &before).unwrap();
        assert_eq!((status.failed, status.mistakes.len(), status.mistakes[19].line), (90, 20, 21));
        // A list that is lost for a while does not take the answer along.
        let before = ProvisioningGroupStatus { import: Some(status.clone()), ..before };
        let lost = Lists { import: Some(Err(Fault::new(Reason::ImportNotFound, "f"))), export: None };
        assert_eq!(import_status(&lost, &before), Some(status));
        assert_eq!(import_status(&Lists::default(), &before), None);
    }
}
