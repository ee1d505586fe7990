//! What a device and Azure IoT Hub or DPS say to each other, in the order a connection needs it.

pub mod id;
pub mod host;
pub mod key;
pub mod sas;
pub mod connection_string;
pub mod user_name;
pub mod property_bag;
pub mod topic;
pub mod dps;
