//! Import and export of lists of devices. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refer::KeyReference;

/// List of devices, with one `IoTDevice` for each row. The group owns these devices: they are deleted with the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// ConfigMap with CSV in UTF-8, in the format of IoT Central: a header with the columns `IOTC_DEVICEID` and,
    /// optionally, `IOTC_DEVICENAME`, in any order and in upper or lower case, then one row for each device. Other
    /// columns, blank lines and white space around a cell are ignored. A text without that header changes and deletes
    /// nothing; a header without rows is an empty list.
    ///
    /// metadata.name of a device is its id if that is a valid name, otherwise a name derived from the id with a hash.
    /// The operator restores the fields that the list sets (displayName, groupRef); all other fields of the device
    /// (approved, blocked, tags…) are yours. It does not change a device that you created yourself. Invalid rows are
    /// reported in status.import; valid rows are imported.
    pub config_map_ref: KeyReference,
    /// Policy for a device whose row is removed: `Keep` (the default) keeps it unchanged, `Delete` deletes it. No
    /// device is deleted while a row cannot be read, because the row may be that device's, or when you remove import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_removal: Option<OnRemoval>,
    /// Maximum number of devices that the list creates. The default is 10,000. A user who may edit the ConfigMap can
    /// create that many devices, each with an agent. status.import reports the rows beyond this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_devices: Option<u32>,
    /// Maximum share of the list's devices that one change of the list may delete, in percent. The default is 50. Up
    /// to ten devices may always be deleted. If more rows are missing, the operator deletes none, so that an emptied
    /// or exchanged list does not disconnect a plant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_removed_percent: Option<u32>,
}

impl Import {
    /// Default of `maxDevices`.
    pub const DEFAULT_MAX_DEVICES: u32 = 10_000;
    /// Default of `maxRemovedPercent`.
    pub const DEFAULT_MAX_REMOVED_PERCENT: u32 = 50;
}

/// Policy for an imported device whose row is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnRemoval {
    /// Keeps the device unchanged, as a member of the group.
    #[default]
    Keep,
    /// Deletes the device, its agent and its credentials.
    Delete,
}

/// The group's devices with their credentials, for devices outside the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// Secret that the operator creates and owns. Its key `devices.csv` has the columns of IoT Central's export,
    /// `IOTC_DEVICEID,IOTC_DEVICENAME,IOTC_SASKEY_PRIMARY,IOTC_SASKEY_SECONDARY,IOTC_X509THUMBPRINT_PRIMARY,IOTC_X509THUMBPRINT_SECONDARY`,
    /// sorted by id: the keys derived from both keys of the group, or the SHA-256 thumbprints of the certificates. It
    /// omits devices without credentials (blocked, waiting for approval, or with an error). An apostrophe precedes a
    /// name that begins with `=`, `+`, `-` or `@`, so that no spreadsheet evaluates it as a formula; an import
    /// removes the apostrophe. A Secret can hold 1 MiB, which is about 8,000 devices with keys.
    #[schemars(schema_with = "crate::refer::object_name")]
    pub secret_name: String,
}
