//! What the process answers over HTTP: `/metrics`, `/livez`, `/readyz`, `/status`.

pub mod readiness;
pub mod process;
pub mod server;
