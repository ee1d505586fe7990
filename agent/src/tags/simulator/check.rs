//! Check of an address and its data type. Pure.

use lanyard_handoff::config::DataType;

use super::address::Address;
use super::address_error::AddressError;
use super::data_type::{convert, show};
use super::function::Function;

/// Checks whether an address can be read as a data type.
///
/// # Errors
/// [`AddressError`]: the data types that fit.
pub(in crate::tags) fn check(address: &Address, data_type: Option<DataType>) -> Result<(), AddressError> {
    use DataType::{Bcd, Boolean, Double, Float, Lbcd, String};
    let Some(data_type) = data_type else { return Ok(()) };
    let refused = |fits: &'static str| Err(AddressError::Type { data_type, fits });
    match address {
        Address::Register(register) => register.check(data_type),
        Address::Function(Function::Sine(_)) if !matches!(data_type, Float | Double) => {
            refused("Float or Double")
        }
        Address::Function(Function::Ramp(_) | Function::Random(_))
            if matches!(data_type, Boolean | String | Bcd | Lbcd) =>
        {
            refused("Char, Byte, Short, Word, Long, DWord, LLong, QWord, Float or Double")
        }
        Address::Function(function) => {
            let wrong =
                function.extremes().into_iter().find(|value| convert(value.clone(), data_type).is_none());
            match wrong {
                Some(value) => Err(AddressError::Value { data_type, value: show(&value) }),
                None => Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::event::Value;
    use crate::tags::simulator::controller::Controller;
    use crate::tags::simulator::data_type::decode;
    use std::sync::Arc;
    use std::time::Duration;

    fn read(
        address: &str,
        data_type: DataType,
        every: u64,
        count: u64,
    ) -> Result<Vec<Option<Value>>, String> {
        let address = Address::parse(address).map_err(|error| error.to_string())?;
        check(&address, Some(data_type)).map_err(|error| error.to_string())?;
        let mut controller = Controller::new(1);
        let at = |tick| Duration::from_millis(tick * every);
        Ok((0..count).map(|tick| controller.read(&address, Some(data_type), at(tick))).collect())
    }

    /// Tags of the vendor's demo project, with their types.
    #[test]
    fn the_shipped_examples_have_their_types() {
        use DataType as T;
        let text = |text: &str| Value::Text(Arc::from(text));
        for (address, data_type, every, expected) in [
            ("RAMP (120, 35, 100, 4)", T::Long, 120, [35, 39].map(Value::Integer)),
            ("RAMP (300, 150.75, 200.50, -0.25)", T::Float, 300, [200.5, 200.25].map(Value::Float)),
            ("RAMP (250, 0, 1000, 1)", T::Word, 250, [0, 1].map(Value::Integer)),
            ("RAMP (250, -1000000, 1000000, -500)", T::LLong, 250, [1_000_000, 999_500].map(Value::Integer)),
            ("RAMP (1000, 0, 1000000000, 1250)", T::QWord, 1000, [0, 1250].map(Value::Integer)),
            ("RAMP (10, 0, 1, 0.1)", T::Double, 10, [0.0, 0.1].map(Value::Double)),
            ("RAMP (10, 0, 9, 1)", T::Double, 10, [0.0, 1.0].map(Value::Double)),
            ("USER (200,1,0,0,1)", T::Boolean, 200, [true, false].map(Value::Boolean)),
            ("USER (250,15.16,23.42,4.8)", T::Float, 250, [15.16, 23.42].map(Value::Float)),
            ("USER (250,15.16,23.42,4.8)", T::Double, 250, [15.16, 23.42].map(Value::Double)),
            ("USER (1000,Hello,world!)", T::String, 1000, [text("Hello"), text("world!")]),
            ("USER (1000,1.50,2)", T::String, 1000, [text("1.50"), text("2")]),
            ("USER (1000,true,0)", T::String, 1000, [text("true"), text("0")]),
        ] {
            let expected = expected.map(Some).to_vec();
            assert_eq!(read(address, data_type, every, 2), Ok(expected), "{address} as {data_type:?}");
        }
    }

    #[test]
    fn unsuitable_data_types_are_refused() {
        use DataType as T;
        for (address, data_type, words) in [
            ("RAMP(10, 0, 256, 1)", T::Byte, "256 does not fit into the data type Byte"),
            ("RAMP(10, -1, 9, 1)", T::DWord, "-1 does not fit"),
            ("RAMP(10, 0, 1, 0.5)", T::Long, "0.0 does not fit"),
            ("RANDOM(10, -129, 0)", T::Char, "-129 does not fit"),
            ("SINE(10, 0, 1, 1, 0)", T::Long, "this address has no data type Long: use Float or Double"),
            ("RAMP(10, 0, 1, 1)", T::String, "has no data type String: use Char, Byte"),
            ("USER(10, 1, 2)", T::Boolean, "2 does not fit into the data type Boolean"),
            ("USER(10, a, b)", T::Float, "\"a\" does not fit"),
            ("K0001", T::Byte, "has no data type Byte: use Short, Word"),
            ("S0001", T::Word, "has no data type Word: use String"),
            ("B0001", T::Word, "has no data type Word: use Boolean"),
            ("K0001.01", T::Word, "has no data type Word: use Boolean"),
            ("K9999", T::Long, "must end at register 9999"),
            ("K9990 [4]", T::QWord, "must end at register 9999"),
        ] {
            let said = read(address, data_type, 10, 1).unwrap_err();
            assert!(said.contains(words), "{address}: {said}");
        }
    }

    #[test]
    fn registers_are_joined_and_decoded() {
        use DataType as T;
        let last = |address, data_type, count| read(address, data_type, 10, count).unwrap().pop().unwrap();
        assert_eq!(last("R0001", T::Short, 65_536), Some(Value::Integer(-1)));
        assert_eq!(last("R0001", T::Long, 3), Some(Value::Integer(0x0002_0002)));
        assert_eq!(last("R0001", T::QWord, 2), Some(Value::Unsigned(0x0001_0001_0001_0001)));
        assert_eq!(last("R0001", T::Float, 1), Some(Value::Float(0.0)));
        assert_eq!(
            last("R0001 [2]", T::DWord, 2),
            Some(Value::Array(Arc::from([65_537, 65_537].map(Value::Integer))))
        );
        assert_eq!(
            (last("S0001", T::String, 1), last("B0001", T::Boolean, 1)),
            (Some(Value::Text(Arc::from(""))), Some(Value::Boolean(false)))
        );
        let digits = read("R0001", T::Bcd, 10, 0x9a + 1).unwrap();
        assert_eq!(digits[9], Some(Value::Integer(9)));
        assert_eq!(digits[10..16], [None, None, None, None, None, None]);
        assert_eq!(
            (&digits[0x10], &digits[0x99], &digits[0x9a]),
            (&Some(Value::Integer(10)), &Some(Value::Integer(99)), &None)
        );
        assert_eq!(decode(0x1234_5678, T::Lbcd), Some(Value::Integer(12_345_678)));
        assert_eq!(
            read("R0001 [2]", T::Bcd, 10, 11).unwrap().pop(),
            Some(None),
            "an array is read whole or not"
        );
    }
}
