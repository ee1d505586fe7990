//! The program itself, over real sockets: how it starts and refuses to, TLS, the web side and the `events` command.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here is a test that fails")]

#[allow(dead_code, reason = "shared with the wire tests, which use all of it")]
#[path = "../wire/bytes.rs"]
mod bytes;
#[allow(dead_code, reason = "shared with the wire tests")]
#[path = "../wire/pki.rs"]
mod pki;
mod running;
mod starting;
mod tls;
mod authority;
mod certificates;
mod web;
mod controls;
mod events;
