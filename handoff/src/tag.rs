//! Sources and tags. Pure.

use serde::{Deserialize, Serialize};

use super::interval::Interval;

/// Source of tags: exactly one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Name of the source, unique in the device. Tags refer to it.
    pub name: String,
    /// Simulated controller with functions and registers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulator: Option<Simulator>,
}

/// Simulator. It has no settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulator {}

/// Tag: a named value of the field device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tag {
    /// Name of the tag, unique in the device; the `id` of its events.
    pub name: String,
    /// Name of one of the device's sources.
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
    /// Longest time without an event, with [`Publish::OnChange`]: after that the next reading is an event, changed or
    /// not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_silence: Option<Interval>,
}

/// Data type, named as in Kepware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataType {
    /// True or false.
    Boolean,
    /// 8-bit signed integer.
    Char,
    /// 8-bit unsigned integer.
    Byte,
    /// 16-bit signed integer.
    Short,
    /// 16-bit unsigned integer.
    Word,
    /// 32-bit signed integer.
    Long,
    /// 32-bit unsigned integer.
    DWord,
    /// 64-bit signed integer.
    LLong,
    /// 64-bit unsigned integer.
    QWord,
    /// 32-bit floating-point number.
    Float,
    /// 64-bit floating-point number.
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

/// Minimum difference of a number to the last sent value: exactly one of the two fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deadband {
    /// Absolute difference that the number must exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute: Option<f64>,
    /// Difference that the number must exceed, in percent of the last sent value; for 0, any change. (UNCONFIRMED: the
    /// reference does not say of which value Kepware's percentage is.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
}

impl Tag {
    const fn default_enabled() -> bool {
        true
    }

    // The default is left out: documents stay short, and older agents can read them.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    const fn is_enabled(enabled: &bool) -> bool {
        *enabled
    }

    /// Shortest and longest time between two reads: 10 ms and 27.7 hours.
    pub const SCAN_INTERVALS: std::ops::RangeInclusive<Interval> =
        Interval::from_millis(10)..=Interval::from_millis(99_999_990);

    /// Returns the default: one second.
    #[must_use]
    pub const fn default_scan_interval() -> Interval {
        Interval::from_secs(1)
    }
}

/// Readings that become events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Publish {
    /// Readings whose value or quality differs from the last one.
    #[default]
    OnChange,
    /// All readings, except repeated failures.
    EveryScan,
}
