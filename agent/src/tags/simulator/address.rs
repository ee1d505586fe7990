//! Addresses of the simulator: `RAMP(1000, 0, 100, 1)`, `K0100.00`, `R0440 [4]`. Pure.

use super::address_error::AddressError;
use super::function::{Function, Ramp, Random, Sine, User};
use super::literal;
use super::register::Register;

/// Parsed address.
#[derive(Debug, Clone, PartialEq)]
pub enum Address {
    /// A function of time.
    Function(Function),
    /// A place in the controller's memory.
    Register(Register),
}

impl Address {
    /// Reads an address. Names are read in any case; blanks around names, numbers and parentheses are ignored.
    ///
    /// # Errors
    /// [`AddressError`] says what to write instead.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if let Some((name, arguments)) = text.split_once('(') {
            let arguments = arguments.strip_suffix(')').ok_or(AddressError::Unclosed)?;
            let arguments = literal::split(arguments);
            let function = match name.trim().to_ascii_uppercase().as_str() {
                "RAMP" => Function::Ramp(Ramp::parse(&arguments)?),
                "RANDOM" => Function::Random(Random::parse(&arguments)?),
                "SINE" => Function::Sine(Sine::parse(&arguments)?),
                "USER" => Function::User(User::parse(&arguments)?),
                _ => return Err(AddressError::Unknown(text.to_owned())),
            };
            return Ok(Self::Function(function));
        }
        Register::parse(text).map(Self::Register)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every example that the vendor ships.
    #[test]
    fn the_shipped_examples_are_read() {
        for text in [
            "RAMP (120, 35, 100, 4)",
            "RAMP (300, 150.75, 200.50, -0.25)",
            "RAMP (250, 0, 1000, 1)",
            "RAMP (2000, -1000, 1000, -5)",
            "RAMP (250, -1000000, 1000000, -500)",
            "RAMP (1000, 0, 1000000000, 1250)",
            "RANDOM (30, -20, 75)",
            "RANDOM (1000, -1000000, 1000000)",
            "SINE (10, -40.0, 40.0, 0.05, 0)",
            "SINE (10, -40.0, 40.0, 0.1, 360)",
            "USER (1000,Hello,world!,This,is,a,test.)",
            "USER (250,15.16,23.42,4.8)",
            "USER (200,1,0,0,1,1)",
            r"USER (1500,To display a comma\, place,a backslash in front of it.)",
            "RAMP(120,35,100,4)",
            "K0001",
            "K0100.00",
            "K0440 [4]",
            "R0001",
            "S0000",
            "B0000",
        ] {
            assert!(Address::parse(text).is_ok(), "{text}: {:?}", Address::parse(text));
        }
    }

    #[test]
    fn errors_name_the_fix() {
        let message = |text: &str| Address::parse(text).unwrap_err().to_string();
        assert_eq!(
            message("RAMP(1000, 0, 100)"),
            "the number of arguments is 3: write RAMP(rate, low, high, increment)"
        );
        assert_eq!(message("RAMP(1000, 0, 100, 1"), "the address must end with ')'");
        assert_eq!(
            message("RAMP(5, 0, 100, 1)"),
            "the rate \"5\" must be a whole number of milliseconds from 10 to 3600000"
        );
        assert_eq!(
            message("RAMP(1000, 0, x, 1)"),
            "high limit \"x\" is not a number: write it like 10 or -0.25"
        );
        assert_eq!(Address::parse("RAMP(1000, 0, 100, 0)"), Err(AddressError::Increment));
        assert_eq!(Address::parse("RAMP(1000, 100, 0, 1)"), Err(AddressError::Bounds));
        assert_eq!(Address::parse("SINE(1000, 0, 1, 0, 0)"), Err(AddressError::Frequency));
        assert_eq!(Address::parse("SINE(1000, 0, 1, 1, 361)"), Err(AddressError::Phase));
        assert_eq!(Address::parse("USER(1000)"), Err(AddressError::NoValues));
        assert_eq!(Address::parse("K10000"), Err(AddressError::RegisterRange));
        assert_eq!(Address::parse("K0001.16"), Err(AddressError::Bit));
        assert_eq!(Address::parse("S0001.01"), Err(AddressError::Bit));
        assert_eq!(Address::parse("K9999[2]"), Err(AddressError::Array));
        assert_eq!(Address::parse("S0001[2]"), Err(AddressError::Array));
        assert!(matches!(Address::parse("COSINE(1)"), Err(AddressError::Unknown(_))));
        assert!(matches!(Address::parse(""), Err(AddressError::Unknown(_))));
        assert!(matches!(Address::parse("X0001"), Err(AddressError::Unknown(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_an_error(text in "\\PC{0,40}") {
            let _ = Address::parse(&text);
        }

        #[test]
        fn nearly_right_text_never_panics(
            name in "(ramp|RANDOM|Sine|USER|K|R|S|B)",
            rest in "[ ]?[(\\[.]?[0-9., \\\\a-z\\-]{0,30}[)\\]]?",
        ) {
            let _ = Address::parse(&format!("{name}{rest}"));
        }

        #[test]
        fn blanks_do_not_matter(rate in 10_i64..3_600_000, low in -100_i64..0, high in 0_i64..100, step in 1_i64..9, blank in "[ ]{0,3}") {
            let tight = format!("RAMP({rate},{low},{high},{step})");
            let loose = format!("{blank}RAMP{blank}({blank}{rate}{blank},{blank}{low},{high}{blank},{step}{blank}){blank}");
            prop_assert_eq!(Address::parse(&tight), Address::parse(&loose));
            prop_assert!(Address::parse(&tight).is_ok());
        }
    }
}
