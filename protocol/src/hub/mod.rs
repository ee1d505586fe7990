//! Data formats between a device and Azure IoT Hub or DPS, in the order of a connection.

pub mod id;
pub mod host;
pub mod key;
pub mod sas;
pub mod connection_string;
pub mod user_name;
pub mod property_bag;
pub mod topic;
pub mod dps;
