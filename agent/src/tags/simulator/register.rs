//! Registers of the simulated controller: constants, counters, strings and booleans. Pure, but for the memory it owns.

use std::collections::HashMap;
use std::sync::Arc;

use lanyard_handoff::config::DataType;

use super::address_error::AddressError;
use super::data_type;
use crate::tags::event::Value;

/// The 16-bit model's last register of each kind.
const LAST: u16 = 9999;
/// Longest array.
const LONGEST_ARRAY: u16 = 1000;

/// Kind of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegisterKind {
    /// `K`: a word that keeps what is written; 0 until then.
    Constant,
    /// `R`: a word that counts up by one each time it is read.
    Counter,
    /// `S`: a text that keeps what is written; empty until then.
    Text,
    /// `B`: a boolean that keeps what is written; false until then.
    Boolean,
}

/// Part of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterPart {
    /// All of it.
    Whole,
    /// One bit of a word: `K0100.00`.
    Bit(u8),
    /// Itself and its successors: `K0440 [4]`.
    Array(u16),
}

/// A place in the controller's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    kind: RegisterKind,
    number: u16,
    part: RegisterPart,
}

impl Register {
    /// Reads `K0001`, `K0100.00` or `K0440 [4]`.
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let unknown = || AddressError::Unknown(text.to_owned());
        let mut characters = text.chars();
        let kind = match characters.next().map(|letter| letter.to_ascii_uppercase()) {
            Some('K') => RegisterKind::Constant,
            Some('R') => RegisterKind::Counter,
            Some('S') => RegisterKind::Text,
            Some('B') => RegisterKind::Boolean,
            _ => return Err(unknown()),
        };
        let rest = characters.as_str();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(end);
        if digits.is_empty() {
            return Err(unknown());
        }
        let number =
            digits.parse().ok().filter(|&number| number <= LAST).ok_or(AddressError::RegisterRange)?;
        let word = matches!(kind, RegisterKind::Constant | RegisterKind::Counter);
        let rest = rest.trim();
        let part = if rest.is_empty() {
            RegisterPart::Whole
        } else if let Some(bit) = rest.strip_prefix('.') {
            let two_digits = (1..=2).contains(&bit.len()) && bit.bytes().all(|byte| byte.is_ascii_digit());
            let bit = bit.parse().ok().filter(|&bit: &u8| word && two_digits && bit <= 15);
            RegisterPart::Bit(bit.ok_or(AddressError::Bit)?)
        } else if let Some(length) = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let fits =
                |&length: &u16| word && (1..=LONGEST_ARRAY).contains(&length) && length - 1 <= LAST - number;
            RegisterPart::Array(length.trim().parse().ok().filter(fits).ok_or(AddressError::Array)?)
        } else {
            return Err(unknown());
        };
        Ok(Self { kind, number, part })
    }

    /// Checks whether it can be read as this type.
    pub(super) fn check(self, data_type: DataType) -> Result<(), AddressError> {
        let fits = match (self.kind, self.part) {
            (RegisterKind::Text, _) => "String",
            (RegisterKind::Boolean, _) | (_, RegisterPart::Bit(_)) => "Boolean",
            _ => "Short, Word, Long, DWord, LLong, QWord, Float, Double, BCD or LBCD",
        };
        let refused = AddressError::Type { data_type, fits };
        let elements = match (self.kind, self.part) {
            (RegisterKind::Text, _) => {
                return if data_type == DataType::String { Ok(()) } else { Err(refused) };
            }
            (RegisterKind::Boolean, _) | (_, RegisterPart::Bit(_)) => {
                return if data_type == DataType::Boolean { Ok(()) } else { Err(refused) };
            }
            (_, RegisterPart::Whole) => 1,
            (_, RegisterPart::Array(length)) => length,
        };
        let words = data_type::words(data_type).ok_or(refused)?;
        // At most 9999 and 1000 times 4.
        if self.number + elements * words - 1 > LAST {
            return Err(AddressError::Words { data_type, words });
        }
        Ok(())
    }
}

/// Content of the registers. Only counters need memory.
#[derive(Debug, Default)]
pub struct Memory {
    counters: HashMap<u16, u16>,
}

impl Memory {
    /// Reads a register. A counter gives its value and then counts up, for all who read it.
    pub fn read(&mut self, register: Register) -> Value {
        match (register.kind, register.part) {
            (RegisterKind::Text, _) => Value::Text(Arc::from("")),
            (RegisterKind::Boolean, _) => Value::Boolean(false),
            (kind, RegisterPart::Whole) => Value::Integer(self.word(kind, register.number).into()),
            (kind, RegisterPart::Bit(bit)) => {
                Value::Boolean(self.word(kind, register.number) >> bit & 1 == 1)
            }
            (kind, RegisterPart::Array(length)) => {
                let end = register.number + length;
                Value::Array(
                    (register.number..end)
                        .map(|number| Value::Integer(self.word(kind, number).into()))
                        .collect(),
                )
            }
        }
    }

    /// Reads a register, and those behind it that the type takes; `None` when they hold no value of this type.
    pub(super) fn read_as(&mut self, register: Register, data_type: DataType) -> Option<Value> {
        let (Some(words), RegisterKind::Constant | RegisterKind::Counter) =
            (data_type::words(data_type), register.kind)
        else {
            return Some(self.read(register));
        };
        match register.part {
            RegisterPart::Bit(_) => Some(self.read(register)),
            RegisterPart::Whole => {
                data_type::decode(self.words(register.kind, register.number, words), data_type)
            }
            RegisterPart::Array(length) => {
                let mut element = |at: u16| self.words(register.kind, register.number + at * words, words);
                // All are read before one fails, so that every counter counts.
                let read: Vec<u64> = (0..length).map(&mut element).collect();
                let values: Option<Vec<Value>> =
                    read.into_iter().map(|words| data_type::decode(words, data_type)).collect();
                values.map(|values| Value::Array(Arc::from(values)))
            }
        }
    }

    fn words(&mut self, kind: RegisterKind, first: u16, words: u16) -> u64 {
        (0..words).fold(0, |value, at| value | u64::from(self.word(kind, first + at)) << (16 * at))
    }

    fn word(&mut self, kind: RegisterKind, number: u16) -> u16 {
        if kind != RegisterKind::Counter {
            return 0;
        }
        let counter = self.counters.entry(number).or_default();
        let value = *counter;
        *counter = value.wrapping_add(1);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(memory: &mut Memory, text: &str) -> Value {
        memory.read(Register::parse(text).unwrap())
    }

    #[test]
    fn a_counter_counts_up_at_every_read_and_wraps_as_a_word() {
        let mut memory = Memory::default();
        for expected in 0..=65_535 {
            assert_eq!(read(&mut memory, "R0001"), Value::Integer(expected));
        }
        assert_eq!(read(&mut memory, "r1"), Value::Integer(0));
        assert_eq!(read(&mut memory, "R0002"), Value::Integer(0));
    }

    #[test]
    fn bits_and_arrays_are_parts_of_words() {
        let mut memory = Memory::default();
        let bits: Vec<Value> = (0..4).map(|_| read(&mut memory, "R0003.00")).collect();
        assert_eq!(bits, [false, true, false, true].map(Value::Boolean));
        assert_eq!(read(&mut memory, "R0003.02"), Value::Boolean(true));
        assert_eq!(read(&mut memory, "K0440 [4]"), Value::Array(Arc::from(vec![Value::Integer(0); 4])));
        assert_eq!(
            read(&mut memory, "R0003[2]"),
            Value::Array(Arc::from([Value::Integer(5), Value::Integer(0)]))
        );
        assert_eq!(read(&mut memory, "R9999[1]"), Value::Array(Arc::from([Value::Integer(0)])));
    }

    #[test]
    fn constants_hold_their_first_value() {
        let mut memory = Memory::default();
        assert_eq!(read(&mut memory, "K0001"), Value::Integer(0));
        assert_eq!(read(&mut memory, "K0100.15"), Value::Boolean(false));
        assert_eq!(read(&mut memory, "S0000"), Value::Text(Arc::from("")));
        assert_eq!(read(&mut memory, "B0000"), Value::Boolean(false));
    }
}
