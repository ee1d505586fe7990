//! Comparison of a value with the reference: the value of the newest event. Pure.

use lanyard_handoff::config::Deadband;

use super::event::Value;

/// Returns whether `now` becomes an event. Numbers must leave the deadband around the reference, so a slow drift becomes
/// one as soon as it is large enough. Arrays differ if their lengths or one of their elements do.
/// Other values have no deadband.
pub(super) fn leaves(deadband: Option<&Deadband>, reference: &Value, now: &Value) -> bool {
    let Some(deadband) = deadband else { return !same(reference, now) };
    match (reference, now) {
        (Value::Array(reference), Value::Array(now)) => {
            reference.len() != now.len()
                || reference.iter().zip(now.iter()).any(|(one, now)| leaves(Some(deadband), one, now))
        }
        _ => match (distance(reference, now), number(reference)) {
            (Some(distance), Some(reference)) => distance > width(deadband, reference),
            _ => !same(reference, now),
        },
    }
}

fn width(deadband: &Deadband, reference: f64) -> f64 {
    let of_value = deadband.percent.map(|percent| reference.abs() * percent / 100.0);
    deadband.absolute.or(of_value).unwrap_or_default()
}

/// Returns the distance between two finite numbers, computed exactly for integers.
fn distance(reference: &Value, now: &Value) -> Option<f64> {
    if let (Value::Integer(reference), Value::Integer(now)) = (reference, now) {
        return Some(reference.abs_diff(*now) as f64);
    }
    Some((number(now)? - number(reference)?).abs())
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Integer(number) => *number as f64,
        Value::Unsigned(number) => *number as f64,
        Value::Float(number) => f64::from(*number),
        Value::Double(number) => *number,
        _ => return None,
    };
    Some(number).filter(|number| number.is_finite())
}

/// Returns whether two values are equal. NaN equals NaN, so that it becomes one event.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => one == other || (one.is_nan() && other.is_nan()),
        (Value::Double(one), Value::Double(other)) => one == other || (one.is_nan() && other.is_nan()),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(one, other)| same(one, other))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn absolute(width: f64) -> Deadband {
        Deadband { absolute: Some(width), percent: None }
    }

    fn percent(percent: f64) -> Deadband {
        Deadband { absolute: None, percent: Some(percent) }
    }

    #[test]
    fn numbers_must_leave_the_deadband() {
        use Value::{Boolean, Double, Float, Integer, Null, Unsigned};
        let text = |text: &str| Value::Text(Arc::from(text));
        let array = |values: &[Value]| Value::Array(Arc::from(values));
        for (deadband, reference, now, expected) in [
            (absolute(2.0), Integer(10), Integer(12), false),
            (absolute(2.0), Integer(10), Integer(13), true),
            (absolute(2.0), Integer(10), Integer(7), true),
            (absolute(0.5), Float(1.0), Float(1.5), false),
            (absolute(0.5), Double(1.0), Double(1.51), true),
            (absolute(0.5), Integer(1), Float(1.25), false),
            (absolute(1.0), Unsigned(u64::MAX), Integer(0), true),
            (absolute(1.0), Integer(i64::MAX), Integer(i64::MAX - 1), false),
            (absolute(1.0), Integer(i64::MAX), Integer(i64::MAX - 2), true),
            (percent(10.0), Integer(-100), Integer(-110), false),
            (percent(10.0), Integer(-100), Integer(-111), true),
            (percent(10.0), Integer(0), Integer(1), true),
            (percent(10.0), Integer(0), Integer(0), false),
            (absolute(9.0), Float(f32::NAN), Float(f32::NAN), false),
            (absolute(9.0), Float(f32::NAN), Float(0.0), true),
            (absolute(9.0), Float(f32::INFINITY), Float(f32::INFINITY), false),
            (absolute(9.0), Boolean(true), Boolean(false), true),
            (absolute(9.0), text("a"), text("b"), true),
            (absolute(9.0), text("a"), text("a"), false),
            (absolute(9.0), Null, Integer(0), true),
            (absolute(2.0), array(&[Integer(1), Integer(5)]), array(&[Integer(2), Integer(6)]), false),
            (absolute(2.0), array(&[Integer(1), Integer(5)]), array(&[Integer(2), Integer(8)]), true),
            (absolute(2.0), array(&[Integer(1)]), array(&[Integer(1), Integer(1)]), true),
        ] {
            assert_eq!(
                leaves(Some(&deadband), &reference, &now),
                expected,
                "{deadband:?} {reference:?} {now:?}"
            );
        }
        assert!(!leaves(None, &Float(f32::NAN), &Float(f32::NAN)));
        assert!(leaves(None, &Integer(1), &Integer(2)));
    }

    proptest! {
        /// The reference differs from the current value by at most the deadband, however slowly the value moves.
        #[test]
        fn reference_stays_within_the_deadband(steps in proptest::collection::vec(-3_i64..=3, 1..100), width in 0_u8..10) {
            let deadband = absolute(width.into());
            let (mut reference, mut now) = (0_i64, 0_i64);
            for step in steps {
                now += step;
                if leaves(Some(&deadband), &Value::Integer(reference), &Value::Integer(now)) {
                    reference = now;
                }
                prop_assert!((reference - now).abs() <= i64::from(width));
            }
        }
    }
}
