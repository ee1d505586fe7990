//! Fourth stage: the objects of a device.

pub mod defaults;
pub mod name;
pub mod labels;
pub mod claim;
pub mod workload;
pub mod objects;
