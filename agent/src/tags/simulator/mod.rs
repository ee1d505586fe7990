//! A simulated controller: functions of time and registers, with the addresses of Kepware's simulator driver.

pub mod address_error;
pub mod literal;
pub mod data_type;
pub mod function;
pub mod register;
pub mod address;
pub mod check;
pub mod controller;
