//! Errors of a simulator's address: field, cause and fix. Pure.

use lanyard_handoff::config::DataType;

/// Error of an address; every message names the fix.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// Neither a function nor a register.
    #[error(
        "{0:?} is not an address of the simulator: use RAMP, RANDOM, SINE or USER with arguments in parentheses, or a \
            register such as K0001, R0001, S0001 or B0001"
    )]
    Unknown(String),
    /// An opening parenthesis without its partner at the end.
    #[error("the address must end with ')'")]
    Unclosed,
    /// Too few or too many arguments.
    #[error("the number of arguments is {found}: write {usage}")]
    Arguments {
        /// Syntax of the function.
        usage: &'static str,
        /// Number of arguments.
        found: usize,
    },
    /// An argument that is not a number.
    #[error("{what} {text:?} is not a number: write it like 10 or -0.25")]
    Number {
        /// Name of the argument.
        what: &'static str,
        /// Text of the argument.
        text: String,
    },
    /// The rate is not a whole number in the driver's range.
    #[error("the rate {0:?} must be a whole number of milliseconds from 10 to 3600000")]
    Rate(String),
    /// The bounds are the wrong way around.
    #[error("the low limit must not be above the high limit")]
    Bounds,
    /// The ramp would not change.
    #[error("the increment must not be 0")]
    Increment,
    /// The sine would not change, or alias.
    #[error("the frequency must be above 0 and at most 1000 Hz")]
    Frequency,
    /// More than a full turn.
    #[error("the phase must be from 0 to 360 degrees")]
    Phase,
    /// A list without values.
    #[error("USER(rate, value, …) needs at least one value")]
    NoValues,
    /// A register beyond the last.
    #[error("the register number must be from 0 to 9999")]
    RegisterRange,
    /// A bit that a 16-bit register does not have.
    #[error("the bit must be from 00 to 15, on a K or R register")]
    Bit,
    /// A data type that the address never has.
    #[error("this address has no data type {data_type:?}: use {fits}, or remove dataType")]
    Type {
        /// The type.
        data_type: DataType,
        /// Suitable data types.
        fits: &'static str,
    },
    /// A value that the data type does not have.
    #[error(
        "{value} does not fit into the data type {data_type:?}: use one that has all values of the address"
    )]
    Value {
        /// The type.
        data_type: DataType,
        /// The value.
        value: String,
    },
    /// A value of several registers that does not fit.
    #[error("a {data_type:?} takes {words} registers, and they must end at register 9999")]
    Words {
        /// The type.
        data_type: DataType,
        /// Number of registers of a value.
        words: u16,
    },
    /// An array that does not fit.
    #[error(
        "an array is written like K0440 [4], on K or R registers, with 1 to 1000 elements, and must end at register 9999"
    )]
    Array,
}
