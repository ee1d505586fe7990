//! Level: pure stages. Small YAML objects through validate, issue, plan and report, without a cluster.

mod given;

mod issuing;
mod planning;
mod reporting;
