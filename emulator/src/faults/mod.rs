//! Faults that the emulator causes on purpose, to test how devices handle them. Each moment of a connection has one
//! decision in `connection`, and the sessions ask for it; a new fault is a new effect and a new decision.

pub mod fault;
pub mod store;
pub mod connection;
