//! Metrics of the process and the build. Reads /proc.

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntGaugeVec, Opts, Registry};

/// Adds the series of the process and of the build to a registry.
///
/// # Errors
/// The registry has them already.
pub fn register(registry: &Registry) -> prometheus::Result<()> {
    let build = IntGaugeVec::new(
        Opts::new("lanyard_build_info", "1, with the version of the program."),
        &["program", "version"],
    )?;
    build.with_label_values(&["lanyard-agent", env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::for_self()))
}
