//! Conversion of simulated values to Kepware's data types. Pure.

use std::sync::Arc;

use lanyard_handoff::config::DataType;

use crate::tags::event::Value;

/// Returns the number of 16-bit registers of a value, the lowest first; `None` if registers cannot hold it.
pub(super) const fn words(data_type: DataType) -> Option<u16> {
    match data_type {
        DataType::Short | DataType::Word | DataType::Bcd => Some(1),
        DataType::Long | DataType::DWord | DataType::Lbcd | DataType::Float => Some(2),
        DataType::LLong | DataType::QWord | DataType::Double => Some(4),
        DataType::Boolean | DataType::Char | DataType::Byte | DataType::String => None,
    }
}

/// Converts a function's value to this type; `None` when the type has no such value.
pub(super) fn convert(value: Value, data_type: DataType) -> Option<Value> {
    let whole = |range: std::ops::RangeInclusive<i64>, value: &Value| match value {
        Value::Integer(number) if range.contains(number) => Some(Value::Integer(*number)),
        _ => None,
    };
    match data_type {
        DataType::Boolean => match value {
            Value::Integer(number @ (0 | 1)) => Some(Value::Boolean(number == 1)),
            Value::Boolean(_) => Some(value),
            _ => None,
        },
        DataType::Char => whole(i8::MIN.into()..=i8::MAX.into(), &value),
        DataType::Byte => whole(0..=u8::MAX.into(), &value),
        DataType::Short => whole(i16::MIN.into()..=i16::MAX.into(), &value),
        DataType::Word => whole(0..=u16::MAX.into(), &value),
        DataType::Long => whole(i32::MIN.into()..=i32::MAX.into(), &value),
        DataType::DWord => whole(0..=u32::MAX.into(), &value),
        DataType::LLong => whole(i64::MIN..=i64::MAX, &value),
        DataType::QWord => whole(0..=i64::MAX, &value),
        DataType::Bcd => whole(0..=9999, &value),
        DataType::Lbcd => whole(0..=99_999_999, &value),
        DataType::Float => double(&value).map(|number| Value::Float(number as f32)),
        DataType::Double => double(&value).map(Value::Double),
        DataType::String => match value {
            Value::Text(_) => Some(value),
            other => Some(Value::Text(Arc::from(show(&other)))),
        },
    }
}

pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        // 1.0 and not 1: it is the fraction that does not fit into a whole number.
        Value::Double(number) => format!("{number:?}"),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Text(text) => format!("{text:?}"),
        _ => "a value".to_owned(),
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    }
}

/// Decodes the value in registers, the lowest first; `None` when they hold none.
pub(super) fn decode(words: u64, data_type: DataType) -> Option<Value> {
    Some(match data_type {
        DataType::Short => Value::Integer((words as u16).cast_signed().into()),
        DataType::Long => Value::Integer((words as u32).cast_signed().into()),
        DataType::LLong => Value::Integer(words.cast_signed()),
        DataType::Word | DataType::DWord => Value::Integer(words.cast_signed()),
        DataType::QWord => Value::Unsigned(words),
        DataType::Float => Value::Float(f32::from_bits(words as u32)),
        DataType::Double => Value::Double(f64::from_bits(words)),
        DataType::Bcd | DataType::Lbcd => Value::Integer(decimal(words)?),
        DataType::Boolean | DataType::Char | DataType::Byte | DataType::String => return None,
    })
}

/// Decodes a number of decimal digits of four bits each; `None` when one of them is above 9.
fn decimal(words: u64) -> Option<i64> {
    let digits = (0..8).rev().map(|digit| i64::try_from(words >> (4 * digit) & 15).unwrap_or(15));
    digits.into_iter().try_fold(0, |number, digit| (digit <= 9).then_some(number * 10 + digit))
}
