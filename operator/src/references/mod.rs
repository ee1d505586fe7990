//! References of devices and groups to other objects: the same ones decide what is read and what a change triggers.

pub mod index;
pub mod group;
pub mod device;
