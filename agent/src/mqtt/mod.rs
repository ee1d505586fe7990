//! MQTT transport: TCP, TLS, CONNECT, and packets in both directions. The only room that knows the MQTT library.

// A number from the network must not end the process: sums are checked, saturate, or state why they cannot overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub use rumqttc::mqttbytes::QoS;

pub mod failure;
pub mod trust;
pub mod login;
pub mod transport;
mod deliveries;
mod dial;
pub mod link;
