//! A list of devices as IoT Central imports it: from text to devices and mistakes. Pure.

use std::collections::HashMap;

use lanyard_crds::ProvisioningGroup;
use lanyard_crds::status::ImportMistake;
use lanyard_protocol::hub::id::RegistrationId;

use crate::fault::Fault;
use crate::group::lists::csv;
use crate::group::lists::csv::Row;
use crate::kubernetes::found::ListFound;
use crate::reason::Reason;

/// The column with the devices' ids.
pub const DEVICE_ID: &str = "IOTC_DEVICEID";
/// The column with their names.
pub const DEVICE_NAME: &str = "IOTC_DEVICENAME";

/// Longest name of a device, in characters, as in IoT Central.
const MAX_NAME: usize = 148;

/// A list that could be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Its good rows.
    pub entries: Vec<Entry>,
    /// Its bad rows.
    pub mistakes: Vec<ImportMistake>,
    /// Ids of bad rows that are in a good row too, possibly in another case: their devices are not missing from the list.
    pub repeated: Vec<String>,
    /// True if the device of every row is known. Otherwise no device can be identified as missing.
    pub complete: bool,
}

impl List {
    /// Returns the number of rows without the header.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.entries.len() + self.mistakes.len()
    }
}

/// A good row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line where it begins.
    pub line: u32,
    /// The device's id.
    pub device_id: String,
    /// Name for people.
    pub display_name: Option<String>,
}

/// Returns the list of a group; `None` if the group refers to none.
#[must_use]
pub fn found(group: &ProvisioningGroup, found: &ListFound) -> Option<Result<List, Fault>> {
    let reference = &group.spec.import.as_ref()?.config_map_ref;
    let missing = |message| Err(Fault::new(Reason::ImportNotFound, message));
    let (name, key) = (&reference.name, &reference.key);
    Some(match found {
        ListFound::NotAsked => return None,
        ListFound::NoObject => missing(format!(
            "import refers to ConfigMap {name}, which is not in this namespace: create it with the key {key}; no \
                device is changed until then"
        )),
        ListFound::NoKey(has) => missing(format!(
            "import refers to key {key:?} of ConfigMap {name}, which has {}: add it or correct the reference; no \
                device is changed until then",
            if has.is_empty() { "no key at all".to_owned() } else { format!("only {}", has.join(", ")) }
        )),
        ListFound::NoText => Err(Fault::new(
            Reason::ImportInvalid,
            format!(
                "{key} in ConfigMap {name} is not UTF-8 text, and nothing is changed: save the list as \"CSV UTF-8\""
            ),
        )),
        ListFound::Text(text) => read(text),
    })
}

/// Reads a list. Columns other than the two are ignored, so that IoT Central's own export can be imported.
///
/// # Errors
/// [`Fault`]: a text that is no list at all. It says nothing about devices; not even that there are none.
pub fn read(text: &str) -> Result<List, Fault> {
    let mut rows = csv::rows(text).into_iter();
    let header = match rows.next() {
        Some(Ok(header)) => header,
        Some(Err(unreadable)) => return Err(no_list(&format!("line {}: {unreadable}", unreadable.line))),
        None => return Err(no_list("it is empty")),
    };
    let columns = Columns::of(&header)?;
    let mut list = List { complete: true, ..List::default() };
    let mut lines = HashMap::new();
    for row in rows {
        let read = match &row {
            Ok(row) => columns.entry(row).map_err(|message| (row.line, message)),
            Err(unreadable) => Err((unreadable.line, unreadable.to_string())),
        };
        match read {
            Ok(entry) => match lines.insert(entry.device_id.to_ascii_lowercase(), entry.line) {
                None => list.entries.push(entry),
                Some(first) => {
                    lines.insert(entry.device_id.to_ascii_lowercase(), first);
                    list.mistakes.push(twice(&entry, first));
                    list.repeated.push(entry.device_id);
                }
            },
            Err((line, message)) => {
                list.complete = false;
                list.mistakes.push(ImportMistake { line, message });
            }
        }
    }
    Ok(list)
}

fn no_list(why: &str) -> Fault {
    let message = format!(
        "the list of devices cannot be read, and nothing is changed: {why}: its first row must be a header with the \
            column {DEVICE_ID} and, if devices have names, {DEVICE_NAME}, separated by a comma"
    );
    Fault::new(Reason::ImportInvalid, message)
}

/// Returns the mistake of a repeated device id. DPS compares ids without case.
fn twice(entry: &Entry, first: u32) -> ImportMistake {
    let message = format!(
        "device id {:?} is in line {first} already (upper and lower case count as one): remove one of them",
        entry.device_id
    );
    ImportMistake { line: entry.line, message }
}

/// Column numbers.
struct Columns {
    count: usize,
    id: usize,
    name: Option<usize>,
}

impl Columns {
    fn of(header: &Row) -> Result<Self, Fault> {
        let find = |column: &str| {
            let mut found =
                header.cells.iter().enumerate().filter(|(_, cell)| cell.eq_ignore_ascii_case(column));
            match (found.next(), found.next()) {
                (_, Some(_)) => {
                    Err(no_list(&format!("line {}: there are two columns {column}", header.line)))
                }
                (found, None) => Ok(found.map(|(column, _)| column)),
            }
        };
        let Some(id) = find(DEVICE_ID)? else {
            let line = header.line;
            let separated = |c: char| header.cells.len() == 1 && header.cells[0].contains(c);
            let why =
                [(';', "semicolons"), ('\t', "tabs")].into_iter().find(|(c, _)| separated(*c)).map_or_else(
                    || format!("line {line} has no column {DEVICE_ID}"),
                    |(_, what)| format!("line {line} separates its columns by {what}"),
                );
            return Err(no_list(&why));
        };
        Ok(Self { count: header.cells.len(), id, name: find(DEVICE_NAME)? })
    }

    /// Reads the entry of a row. No message repeats a cell, except for a valid id: where columns are mixed up, a cell
    /// may be a key.
    fn entry(&self, row: &Row) -> Result<Entry, String> {
        let cell = |column: usize| row.cells.get(column).map_or("", String::as_str);
        let cells = row.cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        if cells > self.count {
            return Err(format!(
                "the row has {cells} cells and the header {}: put a name with a comma into quotes",
                self.count
            ));
        }
        if cell(self.id).is_empty() {
            return Err(format!("{DEVICE_ID} is empty: give the device an id, or remove the row"));
        }
        RegistrationId::new(cell(self.id)).map_err(|error| format!("{DEVICE_ID}: {error}"))?;
        let name = self.name.map(|column| without_guard(cell(column))).filter(|name| !name.is_empty());
        let length = name.map_or(0, |name| name.chars().count());
        if length > MAX_NAME {
            return Err(format!(
                "{DEVICE_NAME} has {length} characters, the limit is {MAX_NAME}: shorten it"
            ));
        }
        Ok(Entry {
            line: row.line,
            device_id: cell(self.id).to_owned(),
            display_name: name.map(str::to_owned),
        })
    }
}

/// Characters at which a spreadsheet begins a formula.
const FORMULA: [char; 4] = ['=', '+', '-', '@'];

/// Returns a name as it is written to a list: an apostrophe keeps spreadsheets from taking it for a formula, which
/// could send the keys beside it anywhere.
#[must_use]
pub fn guarded(name: &str) -> String {
    if is_formula(name) { format!("'{name}") } else { name.to_owned() }
}

fn is_formula(name: &str) -> bool {
    name.trim_start_matches(|c: char| c == '\'' || c.is_whitespace()).starts_with(FORMULA)
}

/// Returns a name without the apostrophe that [`guarded`] adds.
fn without_guard(name: &str) -> &str {
    match name.strip_prefix('\'') {
        Some(rest) if is_formula(rest) => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::device::test_objects::group;

    fn entry(line: u32, device_id: &str, name: &str) -> Entry {
        let display_name = Some(name.to_owned()).filter(|name| !name.is_empty());
        Entry { line, device_id: device_id.to_owned(), display_name }
    }

    #[test]
    fn lists_of_iot_central_and_spreadsheets_are_read() {
        for (text, expected) in [
            (
                "IOTC_DEVICEID,IOTC_DEVICENAME\nsensor-001,Line 3 press\n",
                vec![entry(2, "sensor-001", "Line 3 press")],
            ),
            (
                "\u{feff}iotc_devicename , Iotc_DeviceId\r\n\r\n\"a, b\",d1\r\n,d2\r\n",
                vec![entry(3, "d1", "a, b"), entry(4, "d2", "")],
            ),
            ("IOTC_DEVICEID\nd\n", vec![entry(2, "d", "")]),
            ("IOTC_DEVICEID,IOTC_DEVICENAME\n", vec![]),
            // Rows with fewer cells, and with empty ones behind.
            ("IOTC_DEVICEID,IOTC_DEVICENAME\na\nb,n,,\n", vec![entry(2, "a", ""), entry(3, "b", "n")]),
            // An export, keys and all.
            (
                "IOTC_DEVICEID,IOTC_DEVICENAME,IOTC_SASKEY_PRIMARY,X\na,'=1+1,key==,x\n",
                vec![entry(2, "a", "=1+1")],
            ),
        ] {
            let list = read(text).unwrap();
            assert_eq!((list.entries, list.mistakes, list.complete), (expected, vec![], true), "{text:?}");
        }
    }

    #[test]
    fn unreadable_list_changes_no_device() {
        for (text, why) in [
            ("", "it is empty"),
            ("\u{feff}\r\n \r\n", "it is empty"),
            ("sensor-001,Line 3 press\n", "line 1 has no column IOTC_DEVICEID"),
            ("\nIOTC_DEVICENAME\nx\n", "line 2 has no column IOTC_DEVICEID"),
            ("IOTC_DEVICEID;IOTC_DEVICENAME\na;b\n", "line 1 separates its columns by semicolons"),
            ("IOTC_DEVICEID\tIOTC_DEVICENAME\na\tb\n", "line 1 separates its columns by tabs"),
            ("IOTC_DEVICEID,iotc_deviceid\na,b\n", "line 1: there are two columns IOTC_DEVICEID"),
            ("\"IOTC_DEVICEID\na\n", "line 1: a quote is opened"),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.reason, Reason::ImportInvalid);
            assert!(fault.message.contains(why), "{text:?}: {}", fault.message);
        }
    }

    #[test]
    fn bad_rows_are_reported_with_their_line() {
        let long = "n".repeat(149);
        let text = format!(
            "IOTC_DEVICEID,IOTC_DEVICENAME\nok,\n,nameless\nbad id,\nend_,\nOK,\nc,a, b\nd,{long}\n\"e\"x,\nfine,\n\"open\n"
        );
        let list = read(&text).unwrap();
        assert_eq!(list.entries, [entry(2, "ok", ""), entry(10, "fine", "")]);
        let mistakes: Vec<_> =
            list.mistakes.iter().map(|mistake| (mistake.line, mistake.message.as_str())).collect();
        for ((line, words), (mistake_line, message)) in [
            (3, "IOTC_DEVICEID is empty"),
            (4, "must not contain ' '"),
            (5, "must end with a letter"),
            (6, "\"OK\" is in line 2 already"),
            (7, "3 cells and the header 2"),
            (8, "149 characters, the limit is 148"),
            (9, "text follows a closing quote"),
            (11, "never closed"),
        ]
        .into_iter()
        .zip(&mistakes)
        {
            assert!(line == *mistake_line && message.contains(words), "{line} {mistake_line} {message}");
        }
        assert_eq!((mistakes.len(), list.rows(), list.complete), (8, 10, false));
        // A device that is in the list twice is in the list.
        let list = read("IOTC_DEVICEID\na\nA\n").unwrap();
        assert_eq!((list.complete, list.repeated), (true, vec!["A".to_owned()]));
    }

    #[test]
    fn longest_name_has_148_characters() {
        let list = read(&format!("IOTC_DEVICEID,IOTC_DEVICENAME\nd,{}\n", "é".repeat(148))).unwrap();
        assert_eq!((list.entries.len(), list.mistakes), (1, vec![]));
    }

    #[test]
    fn missing_list_is_reported_with_the_fix() {
        let importing = group("import: {configMapRef: {name: m, key: k}}");
        for (seen, reason, words) in [
            (ListFound::NoObject, Reason::ImportNotFound, "ConfigMap m, which is not in this namespace"),
            (
                ListFound::NoKey(vec![]),
                Reason::ImportNotFound,
                "key \"k\" of ConfigMap m, which has no key at all",
            ),
            (
                ListFound::NoKey(vec!["a".to_owned(), "b".to_owned()]),
                Reason::ImportNotFound,
                "has only a, b: add it",
            ),
            (ListFound::NoText, Reason::ImportInvalid, "k in ConfigMap m is not UTF-8 text"),
            (ListFound::Text(String::new()), Reason::ImportInvalid, "it is empty"),
        ] {
            let fault = found(&importing, &seen).unwrap().unwrap_err();
            assert_eq!(fault.reason, reason, "{seen:?}");
            assert!(fault.message.contains(words), "{seen:?}: {}", fault.message);
        }
        let text = ListFound::Text("IOTC_DEVICEID\na\n".to_owned());
        assert_eq!(found(&importing, &text).unwrap().unwrap().entries, [entry(2, "a", "")]);
        assert_eq!(found(&importing, &ListFound::NotAsked), None);
        assert_eq!(found(&group("template: {}"), &text), None);
    }

    #[test]
    fn no_message_repeats_a_cell_that_may_be_a_key() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let list = read(&format!("IOTC_DEVICENAME,IOTC_DEVICEID\na,{key}\n{key},\n{key},b,{key}\n")).unwrap();
        assert_eq!(list.mistakes.len(), 3);
        assert!(!format!("{:?}", list.mistakes).contains("AAEC"));
    }

    proptest! {
        #[test]
        fn names_survive_export_and_import(name in "['=+@a \t-]{0,5}") {
            let written = guarded(&name);
            prop_assert_eq!(without_guard(&written), name.as_str());
            prop_assert!(!written.trim_start().starts_with(FORMULA));
        }

        #[test]
        fn any_text_is_a_list_or_an_error(text in "(IOTC_DEVICEID,IOTC_DEVICENAME)?[\\PC\n,\"]{0,80}") {
            if let Ok(list) = read(&text) {
                prop_assert!(list.complete || !list.mistakes.is_empty());
                for entry in &list.entries {
                    prop_assert!(RegistrationId::new(entry.device_id.as_str()).is_ok());
                }
            }
        }
    }
}
