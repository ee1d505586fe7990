//! Level: pure stages. Small YAML objects through validate, issue, plan and report, without a cluster.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test itself does")]

mod documented;
mod given;
mod authority;

mod issuing;
mod texts;
mod triggering;
mod permitting;
mod certificates;
mod issuers;
mod credentials;
mod planning;
mod storing;
mod reporting;
mod grouping;
mod requeuing;
