//! Plan of an import: devices to create, change and delete. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use lanyard_crds::bulk::{Import, OnRemoval};
use lanyard_crds::status::ImportMistake;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::group::lists::device_list::{Entry, List};

/// Annotation of an imported device: the row from which it was created. A name that was removed from the list is
/// removed from the device, and one that a user set stays.
pub const ROW: &str = "lanyard.dev/imported-row";

/// Longest name of a device's object.
const MAX_NAME: usize = 63;
/// So many devices may always go at once.
const ALWAYS_REMOVED: usize = 10;
/// 40 bits in hexadecimal digits.
const HASH: usize = 10;

/// Planned work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportWork {
    /// Devices that are not there.
    pub create: Vec<DesiredDevice>,
    /// Devices that differ from their row, with their uid.
    pub change: Vec<(DesiredDevice, String)>,
    /// Devices without a row, with their uid.
    pub delete: Vec<(String, String)>,
    /// Devices without a row that stay, because too many would go at once.
    pub spared: usize,
    /// Rows that have their device.
    pub settled: usize,
    /// Rows whose previous device must end first.
    pub ending: usize,
    /// Rows that cannot have their device.
    pub mistakes: Vec<ImportMistake>,
}

/// A device as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredDevice {
    /// Name of the object.
    pub name: String,
    /// Its row.
    pub entry: Entry,
}

/// Returns the name of a device's object: the id where that can be a name, else what can be of it, with a hash. An id
/// that ends as a hash does gets a hash too, so that no two ids have one name.
#[must_use]
pub fn name(device_id: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let parts = device_id.split('.');
    let is_name = parts.clone().all(|part| {
        part.starts_with(plain) && part.ends_with(plain) && part.chars().all(|c| plain(c) || c == '-')
    });
    if is_name && device_id.len() <= MAX_NAME && !ends_as_hash(device_id) {
        return device_id.to_owned();
    }
    let hash = hex::encode(Sha256::digest(device_id));
    let kept = device_id.chars().map(|c| if plain(c) { c } else { c.to_ascii_lowercase() });
    let kept: String = kept.map(|c| if plain(c) { c } else { '-' }).take(MAX_NAME - 1 - HASH).collect();
    match kept.trim_matches('-') {
        "" => format!("device-{}", &hash[..HASH]),
        kept => format!("{kept}-{}", &hash[..HASH]),
    }
}

fn ends_as_hash(id: &str) -> bool {
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    id.rsplit_once('-').is_some_and(|(_, end)| end.len() == HASH && end.chars().all(hexadecimal))
}

/// Returns the plan for a list and the devices in the namespace.
#[must_use]
pub fn plan(group: &ProvisioningGroup, list: &List, devices: &[Arc<IoTDevice>]) -> ImportWork {
    let existing = ExistingDevices::of(group, devices);
    let mut work = ImportWork { mistakes: list.mistakes.clone(), ..ImportWork::default() };
    let desired: Vec<DesiredDevice> = list
        .entries
        .iter()
        .map(|entry| DesiredDevice { name: name(&entry.device_id), entry: entry.clone() })
        .collect();
    // Two rows with one id are ambiguous; their device is not deleted.
    let repeated = list.repeated.iter().map(|id| name(id));
    let names: HashSet<String> = desired.iter().map(|desired| desired.name.clone()).chain(repeated).collect();
    let policy = group.spec.import.as_ref().and_then(|import| import.on_removal).unwrap_or_default();
    let removed = |device: &IoTDevice| {
        policy == OnRemoval::Delete && list.complete && !names.contains(&device.name_any())
    };
    for (device, row_ownership) in existing.by_name.values() {
        if *row_ownership == RowOwnership::Ours && removed(device) {
            work.delete.push((device.name_any(), device.uid().unwrap_or_default()));
        }
    }
    work.delete.sort();
    let import = group.spec.import.as_ref();
    let percent = import.and_then(|import| import.max_removed_percent);
    let percent = percent.unwrap_or(Import::DEFAULT_MAX_REMOVED_PERCENT);
    let ours =
        existing.by_name.values().filter(|(_, row_ownership)| *row_ownership == RowOwnership::Ours).count();
    if work.delete.len() > ALWAYS_REMOVED && work.delete.len() * 100 > ours * percent as usize {
        work.spared = std::mem::take(&mut work.delete).len();
    }
    let max = import.and_then(|import| import.max_devices).unwrap_or(Import::DEFAULT_MAX_DEVICES);
    let mut room = (max as usize).saturating_sub(ours - work.delete.len());
    for desired in desired {
        match existing.by_name.get(desired.name.as_str()) {
            Some((_, RowOwnership::Ending)) => work.ending += 1,
            Some((device, RowOwnership::Ours)) if agrees(group, device, &desired) => work.settled += 1,
            Some((device, RowOwnership::Ours)) => {
                work.change.push((desired, device.uid().unwrap_or_default()));
            }
            Some((_, RowOwnership::Foreign(whose))) => {
                work.mistakes.push(clash(&desired.entry, &desired.name, whose));
            }
            None => match existing.rival(&desired.entry, removed) {
                Some((name, whose)) => work.mistakes.push(clash(&desired.entry, &name, &whose)),
                None if room == 0 => work.mistakes.push(ImportMistake {
                    line: desired.entry.line,
                    message: format!(
                        "the list has more than {max} devices: raise import.maxDevices, or divide the list"
                    ),
                }),
                None => {
                    room -= 1;
                    work.create.push(desired);
                }
            },
        }
    }
    work.mistakes.sort_by_key(|mistake| mistake.line);
    work
}

fn clash(entry: &Entry, name: &str, whose: &str) -> ImportMistake {
    let id = &entry.device_id;
    let message = format!(
        "IoTDevice {name} has device id {id:?} already; {whose}, and is not changed: remove the row, or delete IoTDevice {name}"
    );
    ImportMistake { line: entry.line, message }
}

/// Ownership of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RowOwnership {
    /// Of this list.
    Ours,
    /// On its way out.
    Ending,
    /// Not of this list; the words say of whom.
    Foreign(String),
}

/// The devices of the namespace.
struct ExistingDevices<'a> {
    by_name: HashMap<&'a str, (&'a IoTDevice, RowOwnership)>,
    /// Those of the group, by their id in lower case, as DPS compares them.
    by_id: HashMap<String, Vec<&'a str>>,
}

impl<'a> ExistingDevices<'a> {
    fn of(group: &ProvisioningGroup, devices: &'a [Arc<IoTDevice>]) -> Self {
        let mut existing = Self { by_name: HashMap::new(), by_id: HashMap::new() };
        for device in devices {
            let name = device.metadata.name.as_deref().unwrap_or_default();
            if refers(device, group) {
                existing.by_id.entry(device.device_id().to_ascii_lowercase()).or_default().push(name);
            }
            existing.by_name.insert(name, (device, row_ownership(group, &device.metadata)));
        }
        existing
    }

    /// Returns the name of another device of the group that has the entry's id and keeps it, and the reason.
    fn rival(&self, entry: &Entry, removed: impl Fn(&IoTDevice) -> bool) -> Option<(String, String)> {
        let names = self.by_id.get(&entry.device_id.to_ascii_lowercase())?;
        names.iter().find_map(|name| match self.by_name.get(name)? {
            (device, RowOwnership::Ours) if removed(device) => None,
            (_, RowOwnership::Ending) => None,
            (_, RowOwnership::Ours) => Some((
                (*name).to_owned(),
                "an earlier version of the list had this id in other upper and lower case".to_owned(),
            )),
            (_, RowOwnership::Foreign(whose)) => Some(((*name).to_owned(), whose.clone())),
        })
    }
}

fn refers(device: &IoTDevice, group: &ProvisioningGroup) -> bool {
    device
        .spec
        .group_ref
        .as_ref()
        .is_some_and(|reference| Some(&reference.name) == group.metadata.name.as_ref())
}

fn row_ownership(group: &ProvisioningGroup, device: &ObjectMeta) -> RowOwnership {
    let mut owners = device.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true));
    match owner {
        None => RowOwnership::Foreign("this list did not create it".to_owned()),
        Some(owner) if Some(&owner.uid) == group.metadata.uid.as_ref() => {
            let ends = device.deletion_timestamp.is_some();
            if ends { RowOwnership::Ending } else { RowOwnership::Ours }
        }
        // The garbage collector takes what a deleted group of the same name has left.
        Some(owner)
            if owner.kind == ProvisioningGroup::kind(&())
                && Some(&owner.name) == group.metadata.name.as_ref() =>
        {
            RowOwnership::Ending
        }
        Some(owner) => RowOwnership::Foreign(format!("it belongs to {} {}", owner.kind, owner.name)),
    }
}

/// Returns whether this list has created the device from this row. The cache may not have it yet.
#[must_use]
pub fn is_created(group: &ProvisioningGroup, device: &ObjectMeta, desired: &DesiredDevice) -> bool {
    let created_from = device.annotations.as_ref().and_then(|annotations| annotations.get(ROW));
    row_ownership(group, device) == RowOwnership::Ours && created_from == Some(&row(&desired.entry))
}

/// Returns whether a device is as its row requires. Other fields belong to users.
fn agrees(group: &ProvisioningGroup, device: &IoTDevice, desired: &DesiredDevice) -> bool {
    let name = desired.entry.display_name.as_ref();
    device.annotations().get(ROW) == Some(&row(&desired.entry))
        && refers(device, group)
        && device.device_id() == desired.entry.device_id
        && (name.is_none() || device.spec.display_name.as_ref() == name)
}

/// Returns a short hash of an entry, which distinguishes its row from others.
fn row(entry: &Entry) -> String {
    let text = json!([entry.device_id, entry.display_name]).to_string();
    hex::encode(&Sha256::digest(text)[..8])
}

/// Returns the object to apply for a row. Other fields of the device are not in it and stay.
#[must_use]
pub fn object(group: &ProvisioningGroup, desired: &DesiredDevice, uid: Option<&str>) -> Value {
    let DesiredDevice { name, entry } = desired;
    let mut object = json!({
        "apiVersion": IoTDevice::api_version(&()),
        "kind": IoTDevice::kind(&()),
        "metadata": {
            "name": name,
            "namespace": group.namespace(),
            "annotations": {ROW: row(entry)},
            "ownerReferences": [group.controller_owner_ref(&())],
        },
        "spec": {"deviceId": entry.device_id, "groupRef": {"name": group.name_any()}},
    });
    if let Some(display_name) = &entry.display_name {
        object["spec"]["displayName"] = json!(display_name);
    }
    // So that a namesake made in between is not changed for its predecessor.
    if let Some(uid) = uid {
        object["metadata"]["uid"] = json!(uid);
    }
    object
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use proptest::prelude::*;

    use super::*;
    use crate::group::lists::device_list;

    fn group(policy: &str) -> ProvisioningGroup {
        let yaml = format!(
            "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {{name: g, namespace: n, uid: g1}}
spec:
  dps: {{idScope: s}}
  attestation: {{symmetricKey: {{secretRef: {{name: k}}}}}}
  import: {{configMapRef: {{name: m, key: k}}, onRemoval: {policy}}}
"
        );
        serde_saphyr::from_str(&yaml).unwrap()
    }

    fn device(name: &str, owner: &str, spec: &str) -> Arc<IoTDevice> {
        let owners = match owner {
            "" => String::new(),
            owner => format!(
                ", ownerReferences: [{{apiVersion: lanyard.dev/v1alpha1, kind: ProvisioningGroup, controller: true, {owner}}}]"
            ),
        };
        let yaml = format!(
            "{{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {{name: {name}, namespace: n, uid: \
                u-{name}{owners}}}, spec: {{groupRef: {{name: g}}, {spec}}}}}"
        );
        Arc::new(serde_saphyr::from_str(&yaml).unwrap())
    }

    fn rows(rows: &[&str]) -> List {
        device_list::read(&format!("IOTC_DEVICEID,IOTC_DEVICENAME\n{}\n", rows.join("\n"))).unwrap()
    }

    /// Returns the devices after the work was done, as the API server has them.
    fn done(group: &ProvisioningGroup, work: &ImportWork, before: &[Arc<IoTDevice>]) -> Vec<Arc<IoTDevice>> {
        let mut after: HashMap<String, Arc<IoTDevice>> =
            before.iter().map(|device| (device.name_any(), Arc::clone(device))).collect();
        for (name, _) in &work.delete {
            after.remove(name);
        }
        let changed = work.change.iter().map(|(desired, _)| desired);
        for desired in work.create.iter().chain(changed) {
            let mut device: IoTDevice = serde_json::from_value(object(group, desired, None)).unwrap();
            device.metadata.uid = Some(format!("u-{}", desired.name));
            after.insert(desired.name.clone(), Arc::new(device));
        }
        after.into_values().collect()
    }

    fn names(desired: &[DesiredDevice]) -> Vec<&str> {
        desired.iter().map(|desired| desired.name.as_str()).collect()
    }

    #[test]
    fn device_that_the_cache_lacks_is_known_by_owner_and_row() {
        let group = group("Keep");
        let work = plan(&group, &rows(&["press-17,Press"]), &[]);
        let [created] = &done(&group, &work, &[])[..] else { panic!("one device") };
        let [desired] = &work.create[..] else { panic!("one row") };
        assert!(is_created(&group, &created.metadata, desired));
        let other = plan(&group, &rows(&["press-17,Other"]), &[]).create.remove(0);
        assert!(!is_created(&group, &created.metadata, &other), "another row");
        let ending =
            ObjectMeta { deletion_timestamp: Some(Time(Timestamp::UNIX_EPOCH)), ..created.metadata.clone() };
        assert!(!is_created(&group, &ending, desired), "it ends");
        let by_hand = ObjectMeta { owner_references: None, ..created.metadata.clone() };
        assert!(!is_created(&group, &by_hand, desired), "another owner");
    }

    #[test]
    fn names_are_the_ids_where_they_can_be() {
        for (id, expected) in [
            ("press-17", "press-17"),
            ("line3.press-17", "line3.press-17"),
            ("Press_18-SN007", "press-18-sn007-b327850773"),
            ("press-", "press-caf85eedbd"),
            ("---", "device-cb3f91d54e"),
            ("a..b", "a--b-f62b42414c"),
            // One that looks like another's.
            ("press-18-sn007-b327850773", "press-18-sn007-b327850773-7dba26e18a"),
        ] {
            // The name never changes: the device would be deleted and recreated.
            assert_eq!(name(id), expected);
        }
    }

    #[test]
    fn rows_are_created_changed_and_deleted() {
        for policy in ["Keep", "Delete"] {
            let group = group(policy);
            let first = plan(&group, &rows(&["a,A", "b,B", "C,"]), &[]);
            assert_eq!((first.create.len(), first.settled), (3, 0));
            let devices = done(&group, &first, &[]);
            let second = plan(&group, &rows(&["a,A", "b,B", "C,"]), &devices);
            assert_eq!(
                (second.settled, second.create.len() + second.change.len() + second.delete.len()),
                (3, 0)
            );

            let third = plan(&group, &rows(&["a,AA", "b,", "d,D"]), &devices);
            let changed: Vec<_> =
                third.change.iter().map(|(desired, uid)| (desired.name.as_str(), uid.as_str())).collect();
            assert_eq!((changed, names(&third.create)), (vec![("a", "u-a"), ("b", "u-b")], vec!["d"]));
            let gone: Vec<_> = third.delete.iter().map(|(name, _)| name.clone()).collect();
            assert_eq!(gone, if policy == "Delete" { vec![name("C")] } else { vec![] });
            assert!(
                done(&group, &third, &devices)
                    .iter()
                    .any(|device| device.name_any() == "b" && device.spec.display_name.is_none())
            );
        }
    }

    #[test]
    fn devices_outside_the_list_are_not_changed() {
        let group = group("Delete");
        let devices = [
            device("a", "", ""),
            device("by-hand", "", "deviceId: B"),
            device("c", "name: other, uid: o1", ""),
            device("left", "name: g, uid: g0", ""),
            device("spare", "", ""),
        ];
        let work = plan(&group, &rows(&["a,", "b,", "c,", "left,"]), &devices);
        assert_eq!((work.create.len(), work.change.len(), work.delete.len(), work.ending), (0, 0, 0, 1));
        let mistakes: Vec<_> =
            work.mistakes.iter().map(|mistake| (mistake.line, mistake.message.as_str())).collect();
        assert_eq!(mistakes.len(), 3);
        for ((line, words), (mistake_line, message)) in [
            (2, "IoTDevice a has device id \"a\" already; this list did not create it"),
            (3, "IoTDevice by-hand has device id \"b\" already; this list did not create it"),
            (4, "it belongs to ProvisioningGroup other"),
        ]
        .into_iter()
        .zip(mistakes)
        {
            assert!(line == mistake_line && message.contains(words), "{mistake_line} {message}");
        }
    }

    #[test]
    fn device_of_another_group_has_another_id() {
        let group = group("Keep");
        let moved = |mut device: Arc<IoTDevice>| {
            Arc::make_mut(&mut device).spec.group_ref.as_mut().unwrap().name = "other".to_owned();
            [device]
        };
        let work = plan(&group, &rows(&["b,"]), &moved(device("by-hand", "", "deviceId: B")));
        assert_eq!((names(&work.create), work.mistakes.len()), (vec![name("b").as_str()], 0));
        // A device of the list is moved back.
        let [created] = &done(&group, &work, &[])[..] else { panic!("one device") };
        let back = plan(&group, &rows(&["b,"]), &moved(Arc::clone(created)));
        assert_eq!((back.change.len(), back.settled), (1, 0));
    }

    /// A row that cannot be read may be anybody's.
    #[test]
    fn nothing_is_deleted_while_a_row_cannot_be_read() {
        let group = group("Delete");
        let devices = done(&group, &plan(&group, &rows(&["a,", "b,", "c,"]), &[]), &[]);
        assert!(plan(&group, &rows(&["a,", "\"b,", "c,"]), &devices).delete.is_empty());
        assert!(plan(&group, &rows(&["a,", "b b,"]), &devices).delete.is_empty());
        // A list of no rows is one, and a text without a header is none.
        assert_eq!(plan(&group, &rows(&[]), &devices).delete.len(), 3);
        assert_eq!(plan(&group, &rows(&["a,", "A,"]), &devices).delete.len(), 2);
    }

    #[test]
    fn an_id_in_other_letters_is_the_same_device() {
        for (policy, creates, deletes) in [("Keep", 0, 0), ("Delete", 1, 1)] {
            let group = group(policy);
            let devices = done(&group, &plan(&group, &rows(&["Press,"]), &[]), &[]);
            let work = plan(&group, &rows(&["press,"]), &devices);
            assert_eq!(
                (work.create.len(), work.delete.len(), work.mistakes.len()),
                (creates, deletes, 1 - creates)
            );
        }
    }

    /// The working device may be that of the row that is refused.
    #[test]
    fn duplicate_id_deletes_no_device() {
        let group = group("Delete");
        let devices = done(&group, &plan(&group, &rows(&["press-17,"]), &[]), &[]);
        for (list, settled, lines) in
            [(["Press-17,", "press-17,"], 0, vec![2, 3]), (["press-17,", "Press-17,"], 1, vec![3])]
        {
            let work = plan(&group, &rows(&list), &devices);
            let mistakes: Vec<_> = work.mistakes.iter().map(|mistake| mistake.line).collect();
            assert_eq!((work.delete.len(), work.create.len(), work.settled), (0, 0, settled), "{list:?}");
            assert_eq!(mistakes, lines, "{list:?}");
        }
    }

    #[test]
    fn l6_a_list_makes_and_deletes_no_more_than_allowed() {
        let group = group("Delete, maxDevices: 30");
        let ids: Vec<String> = (0..40).map(|id| format!("d{id},")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let work = plan(&group, &rows(&ids), &[]);
        assert_eq!((work.create.len(), work.mistakes.len()), (30, 10));
        assert!(work.mistakes[0].message.contains("import.maxDevices"));
        let devices = done(&group, &work, &[]);
        // Half of them may go at once, and not more; ten always.
        for (kept, deleted, spared) in [(15, 15, 0), (14, 0, 16), (0, 0, 30), (20, 10, 0)] {
            let work = plan(&group, &rows(&ids[..kept]), &devices);
            assert_eq!((work.delete.len(), work.spared), (deleted, spared), "{kept}");
        }
        for (count, deleted, spared) in [(15, 10, 0), (16, 0, 11)] {
            let devices = done(&group, &plan(&group, &rows(&ids[..count]), &[]), &[]);
            let work = plan(&group, &rows(&ids[..5]), &devices);
            assert_eq!((work.delete.len(), work.spared), (deleted, spared), "5 of {count}");
        }
        // Those that go make room.
        let work = plan(&group, &rows(&ids[10..]), &devices);
        assert_eq!((work.delete.len(), work.create.len(), work.mistakes.len()), (10, 10, 0));
        let all = super::tests::group("Delete, maxRemovedPercent: 100");
        assert_eq!(plan(&all, &rows(&[]), &devices).delete.len(), 30);
    }

    /// Fields that users set on an imported device stay, except those of the list.
    #[test]
    fn fields_set_by_users_stay() {
        let group = group("Keep");
        let mut devices = done(&group, &plan(&group, &rows(&["a,", "b,B"]), &[]), &[]);
        devices.sort_by_key(|device| device.name_any());
        for device in &mut devices {
            let device = Arc::make_mut(device);
            (device.spec.display_name, device.spec.blocked) = (Some("X".to_owned()), true);
        }
        let work = plan(&group, &rows(&["a,", "b,B"]), &devices);
        let changed: Vec<_> = work.change.iter().map(|(desired, _)| desired.name.as_str()).collect();
        assert_eq!((work.settled, changed), (1, vec!["b"]));
    }

    proptest! {
        #[test]
        fn names_are_unique(ids in proptest::collection::hash_set("[A-Ca-c1._:-]{0,5}[a-cA-C1]{1,2}|[a-zA-Z0-9._:-]{1,127}[a-z]", 1..60)) {
            let names: HashSet<String> = ids.iter().map(|id| name(id)).collect();
            prop_assert_eq!(names.len(), ids.len());
            for name in names {
                prop_assert!(name.len() <= MAX_NAME);
                for part in name.split('.') {
                    prop_assert!(!part.is_empty() && !part.starts_with('-') && !part.ends_with('-'), "{}", name);
                    prop_assert!(part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
                }
            }
        }

        /// Whatever was there, one round of work is enough, and a second one does nothing.
        #[test]
        fn second_round_of_an_import_does_nothing(before in proptest::collection::btree_map("[a-eA-E]", "[x-z]?", 0..6),
            after in proptest::collection::btree_map("[a-eA-E]", "[x-z]?", 0..6), delete: bool) {
            let group = group(if delete { "Delete" } else { "Keep" });
            let list = |rows: &std::collections::BTreeMap<String, String>| {
                super::tests::rows(&rows.iter().map(|(id, name)| format!("{id},{name}")).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>())
            };
            let devices = done(&group, &plan(&group, &list(&before), &[]), &[]);
            let work = plan(&group, &list(&after), &devices);
            let devices = done(&group, &work, &devices);
            let again = plan(&group, &list(&after), &devices);
            prop_assert!(again.create.is_empty() && again.change.is_empty() && again.delete.is_empty(), "{:?}", again);
            prop_assert_eq!(again.settled + again.mistakes.len(), after.len());
        }
    }
}
