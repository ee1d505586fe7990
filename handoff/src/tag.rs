//! Sources and tags. Pure.

use serde::{Deserialize, Serialize};

use super::interval::Interval;

/// A place where tags are read: exactly one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Unique in the device; tags refer to it.
    pub name: String,
    /// Functions and registers of a simulated controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulator: Option<Simulator>,
}

/// The simulator takes no settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulator {}

/// One named value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tag {
    /// Unique in the device; the `id` of its events.
    pub name: String,
    /// The name of one of the device's sources.
    pub source: String,
    /// Address of the tag in its source, such as `RAMP(1000, 0, 100, 1)` or `K0001`.
    pub address: String,
    /// Data type of the value; the default depends on the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// Time between two reads.
    #[serde(default = "Tag::default_scan_interval")]
    pub scan_interval: Interval,
    /// Reads and sends the tag.
    #[serde(default = "Tag::default_enabled", skip_serializing_if = "Tag::is_enabled")]
    pub enabled: bool,
    /// Readings that become events.
    #[serde(default)]
    pub publish: Publish,
    /// Minimum change of a number that becomes an event, with [`Publish::OnChange`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadband: Option<Deadband>,
    /// After so long without an event the next read becomes one, changed or not, with [`Publish::OnChange`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_silence: Option<Interval>,
}

/// A type of the field, by Kepware's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataType {
    /// True or false.
    Boolean,
    /// 8 bits with sign.
    Char,
    /// 8 bits without sign.
    Byte,
    /// 16 bits with sign.
    Short,
    /// 16 bits without sign.
    Word,
    /// 32 bits with sign.
    Long,
    /// 32 bits without sign.
    DWord,
    /// 64 bits with sign.
    LLong,
    /// 64 bits without sign.
    QWord,
    /// 32 bits with a fraction.
    Float,
    /// 64 bits with a fraction.
    Double,
    /// Four decimal digits in 16 bits.
    #[serde(rename = "BCD")]
    Bcd,
    /// Eight decimal digits in 32 bits.
    #[serde(rename = "LBCD")]
    Lbcd,
    /// Text.
    String,
}

/// Minimum difference of a number to the last sent value: exactly one field is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deadband {
    /// By more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute: Option<f64>,
    /// By more than this part of the value that was sent last, in hundredths of it; from 0 by anything. (The reference does
    /// not know what Kepware's percentage is of, UNCONFIRMED; few sources know the range of a tag.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
}

impl Tag {
    const fn default_enabled() -> bool {
        true
    }

    // A document is shorter, and older agents read it, without what is so anyway.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    const fn is_enabled(enabled: &bool) -> bool {
        *enabled
    }

    /// Shortest and longest time between two reads: 10 ms and 27.7 hours.
    pub const SCAN_INTERVALS: std::ops::RangeInclusive<Interval> =
        Interval::from_millis(10)..=Interval::from_millis(99_999_990);

    /// One second.
    #[must_use]
    pub const fn default_scan_interval() -> Interval {
        Interval::from_secs(1)
    }
}

/// Readings that become events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Publish {
    /// Those whose value or quality differs from the last one.
    #[default]
    OnChange,
    /// Every one, but failures that only repeat.
    EveryScan,
}
