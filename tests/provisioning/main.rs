//! Level: provisioning. The operator as a process of its own, with the rights of the chart and no more, against a real API
//! server; pods need not run.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test itself does")]

mod operator;
mod users;
mod yaml;
mod authority;

mod schema;
mod examples;
mod credentials;
mod certificates;
mod issuers;
mod drift;
mod workload;
mod buffers;
mod writes;
mod claims;
mod consent;
mod policies;
mod tenants;
mod blocking;
mod approval;
mod import;
mod export;
mod elsewhere;
mod corrections;
mod texts;
mod survival;
mod installations;
mod rights;
mod agents;
