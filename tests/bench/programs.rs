//! The programs under measurement, as child processes on loopback.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{Process, binary, eventually};
use lanyard_tests::scratch::Scratch;

use crate::credentials::Failure;

/// An operator on the cluster of `KUBECONFIG`; it ends with its scope.
pub(crate) struct Operator {
    pub(crate) process: Process,
}

impl Operator {
    /// Starts it and waits until it leads.
    pub(crate) fn start() -> Result<Self, Failure> {
        let http = free_address()?;
        let mut command = Command::new(binary("lanyard-operator"));
        command.args([
            "run",
            "--agent-image=localhost/none:bench",
            "--log-level=info",
            &format!("--http={http}"),
        ]);
        let process = Process::spawn("lanyard-operator", command);
        // One that stands by is ready too; the Lease of an operator that was killed is taken after a while.
        eventually("the operator works", Duration::from_secs(60), || {
            process.log().contains("working").then_some(())
        });
        Ok(Self { process })
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Asked to end, it gives the Lease back to the next one.
        self.process.terminate();
    }
}

/// An agent with the device `idle`; it ends with its scope.
pub(crate) struct Agent {
    pub(crate) process: Process,
    _files: Scratch,
}

impl Agent {
    /// Starts it.
    pub(crate) fn start(emulator: &Emulator) -> Result<Self, Failure> {
        let files = Scratch::new("bench-agent");
        let config = format!(
            "version: 1\ndevices: [{{name: idle, deviceId: idle, hub: {{hostname: 'localhost:{}'}}, sources: [{{name: sim, simulator: {{}}}}], tags: [{{name: K, source: sim, address: K0001}}]}}]\n",
            emulator.mqtt.port()
        );
        let config = files.write("agent.yaml", &config);
        files.write("credentials/idle/sharedAccessKey", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        files.write("credentials/idle/ca.crt", &emulator.ca());
        let mut command = Command::new(binary("lanyard-agent"));
        command.arg("--config").arg(config).arg("--credentials").arg(files.path().join("credentials"));
        command
            .arg("--buffer")
            .arg(files.path().join("buffer"))
            .arg("--http")
            .arg(free_address()?.to_string());
        Ok(Self { process: Process::spawn("lanyard-agent", command), _files: files })
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
