//! The operator under measurement, as a child process.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use lanyard_tests::process::{Process, binary, eventually};

use crate::failure::Failure;

/// An operator on the cluster of `KUBECONFIG`; it ends with its scope.
pub(crate) struct Operator {
    pub(crate) process: Process,
    /// Address of its metrics.
    pub(crate) http: SocketAddr,
}

impl Operator {
    /// Starts it and waits until it leads.
    pub(crate) fn start() -> Result<Self, Failure> {
        let http = free_address()?;
        let mut command = Command::new(binary("lanyard-operator"));
        // As in the chart's Deployment.
        command.env("MALLOC_ARENA_MAX", "1");
        command.args([
            "run",
            "--agent-image=localhost/none:bench",
            "--log-level=info",
            "--dps-endpoint=dps.invalid",
            &format!("--http={http}"),
        ]);
        let process = Process::spawn("lanyard-operator", command);
        // One on standby is ready too; the Lease of an operator that was killed is taken after a while.
        eventually("the operator works", Duration::from_secs(60), || {
            process.log().contains("working").then_some(())
        });
        Ok(Self { process, http })
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Asked to end, it gives the Lease back to the next one.
        self.process.terminate();
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
