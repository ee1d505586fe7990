//! What the operating system says of this process, with the names that every Prometheus client uses. Reads /proc.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Registry};

/// The C library's `USER_HZ`, which is 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// Field numbers of proc_pid_stat(5), counted behind the command's closing parenthesis.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// Series of the process itself.
struct Process {
    memory: Gauge,
    cpu: Counter,
    files: Gauge,
}

/// Adds the process's own series and the build's to a registry.
///
/// # Errors
/// When the registry has them already.
pub fn register(registry: &Registry) -> prometheus::Result<()> {
    let build = prometheus::IntGaugeVec::new(
        prometheus::Opts::new("lanyard_build_info", "1, with the version of the program."),
        &["program", "version"],
    )?;
    build.with_label_values(&["lanyard-agent", env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(Process {
        memory: Gauge::new("process_resident_memory_bytes", "Resident memory size in bytes.")?,
        cpu: Counter::new("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")?,
        files: Gauge::new("process_open_fds", "Number of open file descriptors.")?,
    }))
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        [self.memory.desc(), self.cpu.desc(), self.files.desc()].into_iter().flatten().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        self.memory.set(resident_bytes(&status).unwrap_or(0.0));
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        self.cpu.inc_by((cpu_seconds(&stat).unwrap_or(0.0) - self.cpu.get()).max(0.0));
        self.files.set(std::fs::read_dir("/proc/self/fd").map_or(0.0, |files| files.count() as f64));
        [self.memory.collect(), self.cpu.collect(), self.files.collect()].into_iter().flatten().collect()
    }
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some((ticks(USER_TIME)? + ticks(SYSTEM_TIME)?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        let stat = "17 (a b) c) S 1 17 17 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
    }
}
