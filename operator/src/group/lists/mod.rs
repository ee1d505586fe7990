//! Lists of a group's devices: devices that come in, and credentials that go out.

pub mod csv;
pub mod device_list;
pub mod import;
pub mod apply;
pub mod export;
pub mod pace;
pub mod process;
pub mod status;
