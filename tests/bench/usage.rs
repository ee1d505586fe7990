//! Resources of a process, as the kernel counts them. Reads /proc.

use std::time::Duration;

use crate::failure::Failure;

/// `USER_HZ`, which is 100 on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Returns the CPU time of a process so far: user's and system's, of all its threads, with a resolution of 10 ms.
pub(crate) fn cpu_time(process: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Fields 14 and 15 of proc_pid_stat(5); the command, the second one, may have spaces.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let (Some(user), Some(system)) = (times.next(), times.next()) else {
        return Err("the kernel names no CPU time".into());
    };
    Ok(Duration::from_millis((user? + system?) * (1000 / TICKS_PER_SECOND)))
}

/// Returns the current resident memory of a process, in bytes.
pub(crate) fn resident(process: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes =
        line.and_then(|line| line.split_whitespace().next()).ok_or("the kernel names no VmRSS")?;
    Ok(kibibytes.parse::<u64>()? * 1024)
}
