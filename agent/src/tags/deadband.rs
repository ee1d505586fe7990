//! Comparison of a value with the last sent one. Pure.

use lanyard_handoff::config::Deadband;

use super::event::Value;

/// Returns whether `now` must be sent after `sent`. Numbers must leave the deadband around the last sent value, so a
/// slow drift is sent as soon as it is large enough. Arrays differ if their lengths or one of their elements do.
/// Other values have no deadband.
pub(super) fn leaves(deadband: Option<&Deadband>, sent: &Value, now: &Value) -> bool {
    let Some(deadband) = deadband else { return !same(sent, now) };
    match (sent, now) {
        (Value::Array(sent), Value::Array(now)) => {
            sent.len() != now.len()
                || sent.iter().zip(now.iter()).any(|(sent, now)| leaves(Some(deadband), sent, now))
        }
        _ => match (distance(sent, now), number(sent)) {
            (Some(distance), Some(sent)) => distance > width(deadband, sent),
            _ => !same(sent, now),
        },
    }
}

fn width(deadband: &Deadband, sent: f64) -> f64 {
    let of_value = deadband.percent.map(|percent| sent.abs() * percent / 100.0);
    deadband.absolute.or(of_value).unwrap_or_default()
}

/// Of two finite numbers; whole ones exactly.
fn distance(sent: &Value, now: &Value) -> Option<f64> {
    if let (Value::Integer(sent), Value::Integer(now)) = (sent, now) {
        return Some(sent.abs_diff(*now) as f64);
    }
    Some((number(now)? - number(sent)?).abs())
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
pub(super) fn same(sent: &Value, now: &Value) -> bool {
    match (sent, now) {
        (Value::Float(sent), Value::Float(now)) => sent == now || (sent.is_nan() && now.is_nan()),
        (Value::Double(sent), Value::Double(now)) => sent == now || (sent.is_nan() && now.is_nan()),
        (Value::Array(sent), Value::Array(now)) => {
            sent.len() == now.len() && sent.iter().zip(now.iter()).all(|(sent, now)| same(sent, now))
        }
        _ => sent == now,
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
        for (deadband, sent, now, expected) in [
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
            assert_eq!(leaves(Some(&deadband), &sent, &now), expected, "{deadband:?} {sent:?} {now:?}");
        }
        assert!(!leaves(None, &Float(f32::NAN), &Float(f32::NAN)));
        assert!(leaves(None, &Integer(1), &Integer(2)));
    }

    proptest! {
        /// The last sent value differs from the current one by at most the deadband, however slowly the value moves.
        #[test]
        fn sent_value_stays_within_the_deadband(steps in proptest::collection::vec(-3_i64..=3, 1..100), width in 0_u8..10) {
            let deadband = absolute(width.into());
            let (mut sent, mut now) = (0_i64, 0_i64);
            for step in steps {
                now += step;
                if leaves(Some(&deadband), &Value::Integer(sent), &Value::Integer(now)) {
                    sent = now;
                }
                prop_assert!((sent - now).abs() <= i64::from(width));
            }
        }
    }
}
