//! Devices of the process, and the tasks of each.

pub mod scan_loop;
pub mod tasks;
pub mod all;
