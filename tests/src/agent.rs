//! A running agent: its own configuration, credentials and buffer folders, and what it answers over HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lanyard_handoff::status::{AgentStatus, DeviceStatus};

use crate::http;
use crate::process::{LIMIT, Process, binary, eventually};
use crate::scratch::Scratch;

/// The folders of an agent, and how it is started.
#[derive(Debug)]
pub struct Setup {
    dir: Scratch,
    arguments: Vec<String>,
    before: Option<String>,
}

impl Setup {
    /// Creates folders with this configuration (YAML) and no credentials.
    #[must_use]
    pub fn new(config: &str) -> Self {
        let setup = Self { dir: Scratch::new("agent"), arguments: Vec::new(), before: None };
        setup.configure(config);
        setup
    }

    /// Adds arguments to the command line.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Starts the agent in a mount namespace of its own, behind a shell command that may mount there.
    #[must_use]
    pub fn behind(mut self, command: &str) -> Self {
        self.before = Some(command.to_owned());
        self
    }

    /// Gives a device its key.
    #[must_use]
    pub fn key(self, device: &str, key: &str) -> Self {
        self.set_key(device, key);
        self
    }

    /// Gives a device a CA to trust.
    #[must_use]
    pub fn ca(self, device: &str, pem: &str) -> Self {
        self.write(&format!("credentials/{device}/ca.crt"), pem);
        self
    }

    /// Replaces a device's key.
    pub fn set_key(&self, device: &str, key: &str) {
        self.write(&format!("credentials/{device}/sharedAccessKey"), key);
    }

    /// Gives a device its certificate: the chain, leaf first, and the private key, both PEM.
    #[must_use]
    pub fn certificate(self, device: &str, chain: &str, key: &str) -> Self {
        self.set_certificate(device, chain, key);
        self
    }

    /// Replaces a device's certificate.
    pub fn set_certificate(&self, device: &str, chain: &str, key: &str) {
        self.write(&format!("credentials/{device}/tls.key"), key);
        self.write(&format!("credentials/{device}/tls.crt"), chain);
    }

    /// Sets the certificate to which a device returns while its current one is refused.
    pub fn set_previous_certificate(&self, device: &str, chain: &str, key: &str) {
        self.write(&format!("credentials/{device}/previous.key"), key);
        self.write(&format!("credentials/{device}/previous.crt"), chain);
    }

    /// Takes a file away.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).expect("the file is there");
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &str) {
        self.write("config/agent.yaml", config);
    }

    /// Replaces a file in one step, as a mount does, so that no reader sees half of it.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.dir.write(&format!("{name}.new"), text);
        std::fs::rename(new, self.path(name)).expect("the directory is writable");
    }

    /// Returns the path of a file or folder among the agent's.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the command that starts the agent in these folders.
    #[must_use]
    pub fn command(&self) -> Command {
        let program = binary("lanyard-agent");
        let mut command = match &self.before {
            None => Command::new(program),
            Some(before) => {
                let mut command = Command::new("unshare");
                // Whoever is not root here is root in a namespace of users.
                command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
                command.arg(format!("{before} && exec \"$@\"")).arg("sh").arg(program);
                command
            }
        };
        command.arg("--config").arg(self.path("config/agent.yaml"));
        command.arg("--credentials").arg(self.path("credentials"));
        command.arg("--buffer").arg(self.path("buffer"));
        command.args(["--http", "127.0.0.1:0", "--log-format", "json"]).args(&self.arguments);
        command
    }

    /// Starts the agent.
    #[must_use]
    pub fn start(self) -> Agent {
        let mut process = Process::spawn("lanyard-agent", self.command());
        let http = serving(&mut process);
        Agent { process, setup: self, http }
    }
}

/// A running agent. It ends with its scope.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    /// Its folders.
    pub setup: Setup,
    http: SocketAddr,
}

impl Agent {
    /// Ends it in order and starts it again in the same folders.
    pub fn restart(&mut self) {
        self.process.terminate();
        self.process = Process::spawn("lanyard-agent", self.setup.command());
        self.http = serving(&mut self.process);
    }

    /// Ends it at once (SIGKILL) and starts it again in the same folders.
    pub fn crash(&mut self) {
        self.process.kill();
        self.process = Process::spawn("lanyard-agent", self.setup.command());
        self.http = serving(&mut self.process);
    }

    /// Returns the agent's process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Returns the path of a file or folder as the agent sees it, in its mount namespace.
    #[must_use]
    pub fn inside(&self, name: &str) -> PathBuf {
        let path = self.setup.path(name);
        let path = path.strip_prefix("/").unwrap_or(&path);
        Path::new("/proc").join(self.process.id().to_string()).join("root").join(path)
    }

    /// Returns the log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until the log contains these words. A metric or the end of the process may be seen before the line is read.
    ///
    /// # Panics
    /// When it does not come to contain them.
    pub fn wait_for_log(&self, words: &str) {
        eventually(&format!("the log contains {words:?}"), LIMIT, || {
            self.log().contains(words).then_some(())
        });
    }

    /// Reads `/status`.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        serde_json::from_str(&self.get("/status").body).expect("the status is JSON as the protocol has it")
    }

    /// Returns a device in `/status`; `None` when it is not there.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<DeviceStatus> {
        self.status().devices.into_iter().find(|device| device.name == name)
    }

    /// Waits until a device fulfils `condition`.
    pub fn wait_for(
        &self,
        what: &str,
        name: &str,
        condition: impl Fn(&DeviceStatus) -> bool,
    ) -> DeviceStatus {
        eventually(&format!("{name}: {what}"), LIMIT, || self.device(name).filter(&condition))
    }

    /// Waits until a device's connection has this reason.
    pub fn wait_for_reason(&self, name: &str, reason: &str) -> DeviceStatus {
        self.wait_for(reason, name, |device| device.connection.reason.as_str() == reason)
    }

    /// Reads any of its pages.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn get(&self, path: &str) -> http::Response {
        http::get(self.http, path).expect("a running agent answers")
    }

    /// Reads `/metrics`.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics(self.get("/metrics").body)
    }

    /// Returns the agent's resident memory in bytes, as the kernel counts it.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(Path::new("/proc").join(self.process.id().to_string()).join("status"));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse().ok()).unwrap_or(0) * 1024
    }
}

/// A scrape.
#[derive(Debug, Clone)]
pub struct Metrics(pub String);

impl Metrics {
    /// Returns the value of a series, written like `name{label="value"}`; `None` when it is not there.
    #[must_use]
    pub fn get(&self, series: &str) -> Option<f64> {
        self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Returns the sum of all series that start like this.
    #[must_use]
    pub fn sum(&self, start: &str) -> f64 {
        let of = |line: &str| {
            line.starts_with(start).then(|| line.rsplit_once(' ')?.1.parse::<f64>().ok()).flatten()
        };
        self.0.lines().filter_map(of).sum()
    }
}

fn serving(process: &mut Process) -> SocketAddr {
    eventually("the agent serves", Duration::from_secs(10), || {
        assert!(process.ended().is_none(), "the agent ended: {}", process.log());
        let log = process.log();
        let line = log.lines().find(|line| line.contains("the agent starts"))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["http"].as_str()?.parse().ok()
    })
}
