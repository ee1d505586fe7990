//! The arguments of a function address: splitting them and reading numbers. Pure.

use super::address_error::AddressError;
use crate::tags::event::Value;

/// A number as it was written. Whole numbers make a function whole, a decimal point makes it fractional.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Without a decimal point.
    Whole(i64),
    /// With one.
    Fraction(f64),
}

impl Number {
    /// Reads `-12` or `-0.25`; exponents, infinities and blanks inside are refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) =
            digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let empty = whole.is_empty() && fraction.is_none_or(str::is_empty);
        if empty || !all_digits(whole) || !fraction.is_none_or(all_digits) {
            return None;
        }
        match fraction {
            None => text.parse().ok().map(Self::Whole),
            Some(_) => {
                text.parse().ok().filter(|number: &f64| (*number as f32).is_finite()).map(Self::Fraction)
            }
        }
    }

    /// Returns whether it was written without a decimal point.
    #[must_use]
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Whole(_))
    }

    /// Returns the number as a value, fractions in 64 bits.
    pub(super) fn value(self) -> Value {
        match self {
            Self::Whole(number) => Value::Integer(number),
            Self::Fraction(number) => Value::Double(number),
        }
    }

    /// Returns the number as a floating-point number.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }
}

/// Splits at commas. `\,` is a comma inside an argument; any other backslash stays as it is.
#[must_use]
pub fn split(arguments: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = arguments.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            ('\\', Some(last)) if characters.peek() == Some(&',') => {
                last.extend(characters.next());
            }
            (',', _) => parts.push(String::new()),
            (character, Some(last)) => last.push(character),
            (_, None) => {}
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// Reads a number; the error names its place `what`.
pub(super) fn number(text: &str, what: &'static str) -> Result<Number, AddressError> {
    Number::parse(text).ok_or_else(|| AddressError::Number { what, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_keep_their_form() {
        assert_eq!(Number::parse("35"), Some(Number::Whole(35)));
        assert_eq!(Number::parse("-1000000"), Some(Number::Whole(-1_000_000)));
        assert_eq!(Number::parse("9223372036854775807"), Some(Number::Whole(i64::MAX)));
        assert_eq!(Number::parse("150.75"), Some(Number::Fraction(150.75)));
        assert_eq!(Number::parse("-.5"), Some(Number::Fraction(-0.5)));
        for bad in ["", "-", ".", "1e5", "nan", "inf", "1 2", "0x1", "9223372036854775808", "--1", "1.2.3"] {
            assert_eq!(Number::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_backslash_protects_a_comma_only() {
        assert_eq!(
            split(r"To display a comma\, place,a backslash"),
            ["To display a comma, place", "a backslash"]
        );
        assert_eq!(split(r"a\b, c\\,d"), [r"a\b", r"c\,d"]);
        assert_eq!(split(""), [""]);
        assert_eq!(split("a,,b"), ["a", "", "b"]);
    }

    proptest! {
        #[test]
        fn escaped_arguments_come_back(parts in proptest::collection::vec("[a-z,]{1,8}", 1..6)) {
            let text = parts.iter().map(|part| part.replace(',', r"\,")).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(split(&text), parts);
        }

        #[test]
        fn any_text_is_a_number_or_not(text in "\\PC{0,24}") {
            let _ = Number::parse(&text);
        }
    }
}
