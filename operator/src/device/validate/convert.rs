//! Conversion of sources, tags and telemetry to the agent's configuration. Pure.

use lanyard_crds::{buffer, stream};
use lanyard_handoff::buffer::{Buffer, Sync, WhenFull};
use lanyard_handoff::config::{
    DataType, Deadband, Format, InitialUpdate, LastWill, Publish, Simulator, Source, Tag, Telemetry,
};
use lanyard_handoff::interval::Interval;
use lanyard_handoff::size::ByteSize;
use lanyard_handoff::templates::template::Template;
use lanyard_handoff::templates::texts::{StandardTexts, TemplateTexts};

use crate::fault::Fault;
use crate::fault::invalid;
use crate::kubernetes::quantity;

pub(super) fn source(source: stream::Source) -> Source {
    Source { name: source.name, simulator: source.simulator.map(|stream::Simulator {}| Simulator {}) }
}

fn interval(field: &str, interval: Option<&stream::Interval>, default: Interval) -> Result<Interval, Fault> {
    interval
        .map_or(Ok(default), |interval| Interval::parse(&interval.0).map_err(|error| invalid(field, error)))
}

pub(super) fn tags_of(tags: Vec<stream::Tag>) -> Result<Vec<Tag>, Fault> {
    let convert = |tag: stream::Tag| {
        let field = format!("scanInterval of tag {}", tag.name);
        Ok(Tag {
            scan_interval: interval(&field, tag.scan_interval.as_ref(), Tag::default_scan_interval())?,
            data_type: tag.data_type.map(data_type),
            enabled: tag.enabled.unwrap_or(true),
            publish: match tag.publish {
                None | Some(stream::Publish::OnChange) => Publish::OnChange,
                Some(stream::Publish::EveryScan) => Publish::EveryScan,
            },
            deadband: tag
                .deadband
                .map(|stream::Deadband { absolute, percent }| Deadband { absolute, percent }),
            max_silence: silence(&tag)?,
            name: tag.name,
            source: tag.source,
            address: tag.address,
        })
    };
    tags.into_iter().map(convert).collect()
}

/// Converts an enumeration of the API to the agent's of the same variants; the compiler refuses a missing one.
macro_rules! same_variant {
    ($value:expr, $from:path => $to:path: $($variant:ident),+) => {{
        use $from as From;
        use $to as To;
        match $value {
            $(From::$variant => To::$variant,)+
        }
    }};
}

fn data_type(data_type: stream::DataType) -> DataType {
    same_variant!(data_type, stream::DataType => DataType:
        Boolean, Char, Byte, Short, Word, Long, DWord, LLong, QWord, Float, Double, Bcd, Lbcd, String)
}

fn silence(tag: &stream::Tag) -> Result<Option<Interval>, Fault> {
    let field = format!("maxSilence of tag {}", tag.name);
    let read =
        |silence: &stream::Interval| Interval::parse(&silence.0).map_err(|error| invalid(&field, error));
    tag.max_silence.as_ref().map(read).transpose()
}

pub(super) fn last_will_of(will: stream::LastWill) -> LastWill {
    LastWill {
        payload: will.payload,
        properties: will.properties.unwrap_or_default(),
        content_type: will.content_type,
        content_encoding: will.content_encoding,
    }
}

/// Converts the settings of a buffer, except for its storage, which belongs to the pod.
pub(super) fn buffer_of(buffer: buffer::Buffer) -> Result<Buffer, Fault> {
    let default = Buffer::default();
    let capacity = match buffer.capacity {
        None => default.capacity,
        Some(capacity) => {
            let wrong = || invalid("buffer.capacity", "use an amount of bytes such as 256Mi or 10Gi");
            ByteSize::new(quantity::bytes(&capacity.0).ok_or_else(wrong)?)
        }
    };
    Ok(Buffer {
        capacity,
        when_full: match buffer.when_full {
            None => default.when_full,
            Some(buffer::WhenFull::DropOldest) => WhenFull::DropOldest,
            Some(buffer::WhenFull::DropNewest) => WhenFull::DropNewest,
            Some(buffer::WhenFull::Block) => WhenFull::Block,
        },
        sync: match buffer.sync {
            None => default.sync,
            Some(buffer::Sync::Never) => Sync::Never,
            Some(buffer::Sync::EverySecond) => Sync::EverySecond,
            Some(buffer::Sync::EveryWrite) => Sync::EveryWrite,
        },
        drop_markers: match buffer.drop_markers {
            None => default.drop_markers,
            Some(markers) => markers == buffer::DropMarkers::Enabled,
        },
    })
}

pub(super) fn telemetry_of(telemetry: stream::Telemetry) -> Result<Telemetry, Fault> {
    let default = Telemetry::default();
    let events = telemetry.template.as_ref().and_then(|template| template.events);
    let telemetry = Telemetry {
        format: match (telemetry.format, events) {
            (Some(stream::Format::Wide), _)
            | (Some(stream::Format::Template), Some(stream::Events::Wide)) => Format::Wide,
            (None | Some(stream::Format::Narrow), _)
            | (Some(stream::Format::Template), None | Some(stream::Events::Narrow)) => Format::Narrow,
        },
        template: telemetry.template.map(template_of).transpose()?,
        interval: interval("telemetry.interval", telemetry.interval.as_ref(), default.interval)?,
        max_events: telemetry.max_events.unwrap_or(default.max_events),
        initial_update: match telemetry.initial_update {
            None | Some(stream::InitialUpdate::Enabled) => InitialUpdate::Enabled,
            Some(stream::InitialUpdate::Disabled) => InitialUpdate::Disabled,
        },
        qos: telemetry.qos.unwrap_or(default.qos),
        timeout: interval("telemetry.timeout", telemetry.timeout.as_ref(), default.timeout)?,
        properties: telemetry.properties.unwrap_or_default(),
        content_type: telemetry.content_type.or(default.content_type),
        content_encoding: telemetry.content_encoding.or(default.content_encoding),
    };
    match telemetry.template_error() {
        Some(error) => Err(invalid("telemetry.template", error)),
        None => Ok(telemetry),
    }
}

fn template_of(template: stream::MessageTemplate) -> Result<Template, Fault> {
    let standard = |stream::StandardTemplate { message, values }| StandardTexts { message, values };
    let texts = TemplateTexts { advanced: template.advanced, standard: template.standard.map(standard) };
    Template::new(texts).map_err(|error| invalid("telemetry.template", error))
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt;
    use serde_json::Value;

    use super::*;

    /// The API cannot use the agent's type, because it depends on none of the programs' formats, and the agent cannot
    /// use the API's, because it depends on nothing of Kubernetes: the names must agree.
    #[test]
    fn data_types_have_the_same_names_for_the_agent() {
        let crd = serde_json::to_value(lanyard_crds::device::IoTDevice::crd()).unwrap();
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/tags/items/properties/dataType/enum";
        let names: Vec<_> = crd.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
        let names: Vec<_> = names.into_iter().filter(|name| !name.is_null()).collect();
        assert_eq!(names.len(), 14, "{names:?}");
        for name in names {
            let of_api: stream::DataType = serde_json::from_value(name.clone()).unwrap();
            assert_eq!(serde_json::to_value(data_type(of_api)).unwrap(), name);
        }
    }
}
