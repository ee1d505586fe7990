//! A simulated controller: functions of time and registers, with the addresses of Kepware's simulator driver.

pub mod address;
pub mod literal;
pub mod function;
pub mod register;
pub mod data_type;
pub mod controller;
