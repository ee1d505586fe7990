//! Many devices at once: a list that comes in, and a list with credentials that goes out. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refer::KeyReference;

/// A list of devices, one `IoTDevice` a row. The group owns the devices that it makes: they go when it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// A ConfigMap with CSV in UTF-8 as IoT Central imports it: a header with the columns `IOTC_DEVICEID` and, if devices
    /// have names, `IOTC_DEVICENAME`, in any order and in upper or lower case, then one device a row. Other columns and
    /// blank lines are ignored, and so is white space around a cell. A text without that header changes nothing and deletes
    /// nothing, and a header alone is a list of no devices.
    ///
    /// metadata.name of a device is its id where that can be a name, else what of it can, with a hash. What the list says
    /// (displayName, groupRef) is put right when somebody changes it; everything else of the device (approved, blocked,
    /// tags…) is yours. A device that was made by hand is never touched. Wrong rows are told in status.import, and good ones go in.
    pub config_map_ref: KeyReference,
    /// What becomes of a device whose row is gone: `Keep` (the default; it stays as it is) or `Delete`. Nothing is deleted
    /// while a row cannot be read, because it may be the one of that device, and nothing when import is taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_removal: Option<OnRemoval>,
    /// The most devices that the list may make; 10,000 unless it is set. Who may edit the ConfigMap makes that many devices,
    /// each with an agent. Rows beyond it are told in status.import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_devices: Option<u32>,
    /// The largest part of the list's devices that one edit of the list may delete, in percent; 50 unless it is set. Ten
    /// devices may always go. Beyond it none is deleted, so that a list that was emptied or exchanged by mistake takes no plant
    /// off its hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_removed_percent: Option<u32>,
}

impl Import {
    /// The most devices of a list unless it is set.
    pub const DEFAULT_MAX_DEVICES: u32 = 10_000;
    /// The largest part of the devices that may go at once unless it is set.
    pub const DEFAULT_MAX_REMOVED_PERCENT: u32 = 50;
}

/// What becomes of an imported device whose row is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnRemoval {
    /// It stays as it is, and still belongs to the group.
    #[default]
    Keep,
    /// It is deleted, with its agent and its credentials.
    Delete,
}

/// The group's devices with their credentials, for flashing devices that run elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// The Secret to write, which the operator makes and owns: key `devices.csv` has the columns of IoT Central's
    /// export, `IOTC_DEVICEID,IOTC_DEVICENAME,IOTC_SASKEY_PRIMARY,IOTC_SASKEY_SECONDARY,IOTC_X509THUMBPRINT_PRIMARY,IOTC_X509THUMBPRINT_SECONDARY`,
    /// sorted by id: the keys derived from both keys of the group, or the SHA-256 thumbprints of the certificates. Devices
    /// without credentials (blocked, waiting for approval, faulty) are not in it. A name that begins with `=`, `+`, `-` or
    /// `@` has an apostrophe before it, so that no spreadsheet takes it for a formula; an import takes it off again. A Secret
    /// takes 1 MiB: with keys that is about 8,000 devices.
    #[schemars(schema_with = "crate::refer::object_name")]
    pub secret_name: String,
}
