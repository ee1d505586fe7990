//! HTTP server of the process: `/metrics`, `/livez`, `/readyz`, `/status`.

pub mod readiness;
pub mod process;
pub mod server;
