//! Functions of time: RAMP, RANDOM, SINE and USER. Pure: the value follows from the tick alone, so that one address
//! is one generator for all who read it.

use std::sync::Arc;
use std::time::Duration;

use lanyard_handoff::config::DataType;

use super::address_error::AddressError;
use super::data_type;
use super::literal::{self, Number};
use crate::tags::event::Value;

/// Limits of the time between two changes of a simulated value, in milliseconds, as in Kepware's driver.
const RATES: std::ops::RangeInclusive<u64> = 10..=3_600_000;

/// A function of time.
#[derive(Debug, Clone, PartialEq)]
pub enum Function {
    /// Counts up or down and wraps.
    Ramp(Ramp),
    /// Any value in a range.
    Random(Random),
    /// A sine wave.
    Sine(Sine),
    /// A list, one value after the other.
    User(User),
}

impl Function {
    /// Returns the value `elapsed` after the controller started. `seed` makes one run's random values differ from
    /// another's.
    #[must_use]
    pub fn at(&self, elapsed: Duration, seed: u64) -> Value {
        match self.exact_at(elapsed, seed) {
            // The driver's own type for numbers with a fraction.
            Value::Double(number) => Value::Float(number as f32),
            value => value,
        }
    }

    /// Returns the value as another type; `None` when that type has no such value.
    pub(super) fn typed_at(&self, elapsed: Duration, seed: u64, data_type: DataType) -> Option<Value> {
        match self {
            Self::User(user) if data_type == DataType::String => Some(user.text_at(user.rate.tick(elapsed))),
            _ => data_type::convert(self.exact_at(elapsed, seed), data_type),
        }
    }

    /// Returns sample values: if these fit into a type, all values do.
    pub(super) fn extremes(&self) -> Vec<Value> {
        match self {
            Self::Ramp(ramp) => vec![ramp.at(0), ramp.at(1), ramp.at(ramp.values - 1)],
            Self::Random(random) => [random.low, random.high].into_iter().map(Number::value).collect(),
            Self::Sine(sine) => vec![Value::Double(sine.low), Value::Double(sine.high)],
            Self::User(user) => user.values.clone(),
        }
    }

    /// Returns the value with fractions in 64 bits.
    fn exact_at(&self, elapsed: Duration, seed: u64) -> Value {
        match self {
            Self::Ramp(ramp) => ramp.at(ramp.rate.tick(elapsed)),
            Self::Random(random) => random.at(random.rate.tick(elapsed), seed),
            Self::Sine(sine) => sine.at(sine.rate.tick(elapsed)),
            Self::User(user) => user.at(user.rate.tick(elapsed)),
        }
    }
}

/// Time between two changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(u64);

impl Rate {
    fn parse(text: &str) -> Result<Self, AddressError> {
        let rate = text.parse().ok().filter(|rate| RATES.contains(rate));
        rate.map(Self).ok_or_else(|| AddressError::Rate(text.to_owned()))
    }

    fn tick(self, elapsed: Duration) -> u64 {
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) / self.0
    }
}

/// `RAMP(rate, low, high, increment)`: upwards from low and back to low, or with a negative increment downwards
/// from high and back to high. Whole if all its numbers are.
#[derive(Debug, Clone, PartialEq)]
pub struct Ramp {
    rate: Rate,
    start: Number,
    increment: Number,
    /// Number of values before it wraps.
    values: u64,
}

impl Ramp {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, AddressError> {
        let [rate, low, high, increment] = arguments else {
            return Err(AddressError::Arguments {
                usage: "RAMP(rate, low, high, increment)",
                found: arguments.len(),
            });
        };
        let rate = Rate::parse(rate)?;
        let (low, high) = bounds(low, high)?;
        let increment = literal::number(increment, "increment")?;
        if increment.as_f64() == 0.0 {
            return Err(AddressError::Increment);
        }
        let start = if increment.as_f64() > 0.0 { low } else { high };
        match (low, high, increment) {
            (Number::Whole(low), Number::Whole(high), Number::Whole(step)) => {
                let span = low.abs_diff(high);
                Ok(Self { rate, start, increment, values: (span / step.unsigned_abs()).saturating_add(1) })
            }
            _ => {
                let steps = (high.as_f64() - low.as_f64()) / increment.as_f64().abs();
                // A step that only misses the limit by the last bits of the division still reaches it.
                let values = (steps + 1e-9).floor() as u64;
                let (start, increment) =
                    (Number::Fraction(start.as_f64()), Number::Fraction(increment.as_f64()));
                Ok(Self { rate, start, increment, values: values.saturating_add(1) })
            }
        }
    }

    fn at(&self, tick: u64) -> Value {
        let step = tick % self.values;
        match (self.start, self.increment) {
            (Number::Whole(start), Number::Whole(increment)) => {
                // Between the limits by construction; wrapping arithmetic carries it there even across i64's middle.
                Value::Integer(start.wrapping_add(increment.wrapping_mul(step as i64)))
            }
            (start, increment) => Value::Double(start.as_f64() + increment.as_f64() * step as f64),
        }
    }
}

/// `RANDOM(rate, low, high)`: evenly spread, both limits included. Whole if both limits are.
#[derive(Debug, Clone, PartialEq)]
pub struct Random {
    rate: Rate,
    low: Number,
    high: Number,
}

impl Random {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, AddressError> {
        let [rate, low, high] = arguments else {
            return Err(AddressError::Arguments { usage: "RANDOM(rate, low, high)", found: arguments.len() });
        };
        let rate = Rate::parse(rate)?;
        let (low, high) = bounds(low, high)?;
        Ok(Self { rate, low, high })
    }

    fn at(&self, tick: u64, seed: u64) -> Value {
        let own = self.low.as_f64().to_bits()
            ^ self.high.as_f64().to_bits().rotate_left(17)
            ^ self.rate.0.rotate_left(34);
        let bits = scatter(seed ^ scatter(own ^ scatter(tick)));
        match (self.low, self.high) {
            (Number::Whole(low), Number::Whole(high)) => {
                let values = u128::from(low.abs_diff(high)) + 1;
                let offset = (u128::from(bits) * values) >> 64;
                Value::Integer(low.wrapping_add_unsigned(offset as u64))
            }
            (low, high) => {
                let share = (bits >> 11) as f64 / ((1_u64 << 53) - 1) as f64;
                Value::Double(low.as_f64() * (1.0 - share) + high.as_f64() * share)
            }
        }
    }
}

/// Applies SplitMix64's output step: every input bit reaches every output bit.
fn scatter(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// `SINE(rate, low, high, frequency, phase)`: frequency in hertz, phase in degrees; sampled every rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Sine {
    rate: Rate,
    low: f64,
    high: f64,
    frequency: f64,
    phase: f64,
}

impl Sine {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, AddressError> {
        let [rate, low, high, frequency, phase] = arguments else {
            return Err(AddressError::Arguments {
                usage: "SINE(rate, low, high, frequency, phase)",
                found: arguments.len(),
            });
        };
        let rate = Rate::parse(rate)?;
        let (low, high) = bounds(low, high)?;
        let frequency = literal::number(frequency, "frequency")?.as_f64();
        if frequency <= 0.0 || frequency > 1000.0 {
            return Err(AddressError::Frequency);
        }
        let phase = literal::number(phase, "phase")?.as_f64();
        if !(0.0..=360.0).contains(&phase) {
            return Err(AddressError::Phase);
        }
        Ok(Self { rate, low: low.as_f64(), high: high.as_f64(), frequency, phase })
    }

    fn at(&self, tick: u64) -> Value {
        let seconds = tick as f64 * self.rate.0 as f64 / 1000.0;
        let turns = (seconds * self.frequency + self.phase / 360.0).fract();
        let middle = f64::midpoint(self.low, self.high);
        Value::Double(middle + (self.high - middle) * (turns * std::f64::consts::TAU).sin())
    }
}

/// `USER(rate, value, …)`: booleans if all are `true` or `false`, numbers if all are numbers, texts otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    rate: Rate,
    values: Vec<Value>,
    /// As they are written.
    texts: Vec<Arc<str>>,
}

impl User {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, AddressError> {
        let [rate, texts @ ..] = arguments else { return Err(AddressError::NoValues) };
        let rate = Rate::parse(rate)?;
        if texts.is_empty() {
            return Err(AddressError::NoValues);
        }
        let written = texts.iter().map(|text| Arc::from(text.as_str())).collect();
        Ok(Self { rate, values: typed(texts), texts: written })
    }

    fn at(&self, tick: u64) -> Value {
        self.values.get(self.position(tick)).cloned().unwrap_or(Value::Null)
    }

    fn text_at(&self, tick: u64) -> Value {
        self.texts.get(self.position(tick)).map_or(Value::Null, |text| Value::Text(Arc::clone(text)))
    }

    fn position(&self, tick: u64) -> usize {
        usize::try_from(tick % self.values.len() as u64).unwrap_or(0)
    }
}

fn typed(texts: &[String]) -> Vec<Value> {
    let boolean = |text: &String| match text.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Boolean(true)),
        "false" => Some(Value::Boolean(false)),
        _ => None,
    };
    if let Some(booleans) = texts.iter().map(boolean).collect() {
        return booleans;
    }
    let Some(numbers) = texts.iter().map(|text| Number::parse(text)).collect::<Option<Vec<_>>>() else {
        return texts.iter().map(|text| Value::Text(Arc::from(text.as_str()))).collect();
    };
    let whole = numbers.iter().all(|number| number.is_whole());
    let value = |number| match number {
        Number::Whole(number) if whole => Value::Integer(number),
        number => Value::Double(number.as_f64()),
    };
    numbers.into_iter().map(value).collect()
}

fn bounds(low: &str, high: &str) -> Result<(Number, Number), AddressError> {
    let (low, high) = (literal::number(low, "low limit")?, literal::number(high, "high limit")?);
    match (low, high) {
        (Number::Whole(l), Number::Whole(h)) if l > h => Err(AddressError::Bounds),
        _ if low.as_f64() > high.as_f64() => Err(AddressError::Bounds),
        _ => Ok((low, high)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use super::*;
    use proptest::prelude::*;

    fn values(address: &str, every: u64, count: u64) -> Vec<Value> {
        let Ok(Address::Function(function)) = Address::parse(address) else { unreachable!("{address}") };
        (0..count).map(|tick| function.at(Duration::from_millis(tick * every), 7)).collect()
    }

    fn integers(address: &str, every: u64, count: u64) -> Vec<i64> {
        let integer = |value| match value {
            Value::Integer(number) => number,
            other => unreachable!("{other:?}"),
        };
        values(address, every, count).into_iter().map(integer).collect()
    }

    #[test]
    fn ramps_wrap_to_where_they_started() {
        assert_eq!(integers("RAMP(1000, 0, 3, 1)", 1000, 6), [0, 1, 2, 3, 0, 1]);
        assert_eq!(integers("RAMP(120, 35, 45, 4)", 120, 5), [35, 39, 43, 35, 39]);
        assert_eq!(integers("RAMP(2000, -10, 10, -5)", 2000, 6), [10, 5, 0, -5, -10, 10]);
        assert_eq!(integers("RAMP(1000, 0, 3, 1)", 500, 5), [0, 0, 1, 1, 2]);
        assert_eq!(
            values("RAMP(300, 150.0, 150.5, -0.25)", 300, 4),
            [Value::Float(150.5), Value::Float(150.25), Value::Float(150.0), Value::Float(150.5)]
        );
        assert_eq!(values("RAMP(10, 0, 0.3, 0.1)", 10, 5).len(), 5);
        assert_eq!(values("RAMP(10, 0, 0.3, 0.1)", 10, 5)[3], Value::Float(0.3));
        let widest = "RAMP(10, -9223372036854775808, 9223372036854775807, 9223372036854775807)";
        assert_eq!(integers(widest, 10, 4), [i64::MIN, -1, i64::MAX - 1, i64::MIN]);
    }

    #[test]
    fn a_sine_starts_in_the_middle_and_keeps_its_phase() {
        let quarter = values("SINE(1000, -40.0, 40.0, 0.25, 0)", 1000, 5);
        let expected = [0.0, 40.0, 0.0, -40.0, 0.0];
        for (value, expected) in quarter.iter().zip(expected) {
            let Value::Float(number) = value else { unreachable!() };
            assert!((number - expected).abs() < 1e-4, "{quarter:?}");
        }
        let Value::Float(shifted) = values("SINE(1000, 0, 10, 0.25, 90)", 1000, 1)[0] else { unreachable!() };
        assert!((shifted - 10.0).abs() < 1e-4);
    }

    #[test]
    fn lists_take_the_type_of_their_values() {
        let text = |text: &str| Value::Text(Arc::from(text));
        assert_eq!(values("USER(10, Hello, world!)", 10, 3), [text("Hello"), text("world!"), text("Hello")]);
        assert_eq!(values("USER(10, 1, 0)", 10, 2), [Value::Integer(1), Value::Integer(0)]);
        assert_eq!(values("USER(10, 15.5, 2)", 10, 2), [Value::Float(15.5), Value::Float(2.0)]);
        assert_eq!(values("USER(10, true, FALSE)", 10, 2), [Value::Boolean(true), Value::Boolean(false)]);
        assert_eq!(
            values(r"USER (1500,To display a comma\, place,a backslash)", 1500, 1),
            [text("To display a comma, place")]
        );
    }

    #[test]
    fn random_values_reach_both_limits_and_differ_between_runs() {
        let drawn = integers("RANDOM(10, -1, 1)", 10, 200);
        for wanted in -1..=1 {
            assert!(drawn.contains(&wanted));
        }
        let Ok(Address::Function(function)) = Address::parse("RANDOM(10, 0, 1000000)") else {
            unreachable!()
        };
        assert_ne!(function.at(Duration::ZERO, 1), function.at(Duration::ZERO, 2));
        assert_eq!(function.at(Duration::ZERO, 1), function.at(Duration::from_millis(9), 1));
    }

    proptest! {
        #[test]
        fn values_stay_between_the_limits(
            low in -1_000_000_i64..1_000_000, span in 0_i64..1_000_000, step in prop_oneof![-500_i64..0, 1_i64..500],
            elapsed in any::<u32>(), seed in any::<u64>(),
        ) {
            let high = low + span;
            let elapsed = Duration::from_millis(elapsed.into());
            for address in [format!("RAMP(10,{low},{high},{step})"), format!("RANDOM(10,{low},{high})")] {
                let Ok(Address::Function(function)) = Address::parse(&address) else { unreachable!("{address}") };
                let Value::Integer(value) = function.at(elapsed, seed) else { unreachable!() };
                prop_assert!((low..=high).contains(&value), "{address}: {value}");
            }
            let (low, high) = (low as f32 / 8.0, high as f32 / 8.0);
            for address in [format!("RANDOM(10,{low:.3},{high:.3})"), format!("SINE(10,{low:.3},{high:.3},0.3,45)")] {
                let Ok(Address::Function(function)) = Address::parse(&address) else { unreachable!("{address}") };
                let Value::Float(value) = function.at(elapsed, seed) else { unreachable!() };
                prop_assert!(value >= low - 0.01 && value <= high + 0.01, "{address}: {value}");
            }
        }
    }
}
