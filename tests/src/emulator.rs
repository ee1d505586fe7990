//! A running emulator: its own data directory, a free port or a loopback address of its own, and its controls.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::http;
use crate::process::{LIMIT, Process, binary, eventually};
use crate::scratch::Scratch;

/// A running emulator. It ends with its scope.
#[derive(Debug)]
pub struct Emulator {
    process: Process,
    dir: Scratch,
    asked: String,
    /// Where devices connect.
    pub mqtt: SocketAddr,
    /// Where the controls are.
    pub web: SocketAddr,
}

impl Emulator {
    /// Starts one with this configuration (YAML) on a free port of 127.0.0.1.
    #[must_use]
    pub fn start(config: &str) -> Self {
        Self::start_at(config, "127.0.0.1:0")
    }

    /// Starts one whose devices connect to `mqtt`, such as `127.0.0.2:8883` for SDKs that dial no other port.
    #[must_use]
    pub fn start_at(config: &str, mqtt: &str) -> Self {
        let dir = Scratch::new("emulator");
        dir.write("emulator.yaml", config);
        let (process, mqtt_address, web) = serve(&dir, mqtt);
        Self { process, dir, asked: mqtt.to_owned(), mqtt: mqtt_address, web }
    }

    /// Ends it at once and starts it again with the same data, configuration and address.
    pub fn restart(&mut self) {
        self.process.kill();
        // A port that was free once is asked for again, because devices remember it.
        let same = if self.asked.ends_with(":0") { self.mqtt.to_string() } else { self.asked.clone() };
        (self.process, self.mqtt, self.web) = serve(&self.dir, &same);
    }

    /// Ends it at once (SIGKILL), until [`Emulator::restart`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Everything it logged since it was started.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Replaces the configuration file; it is read at the next start.
    pub fn configure(&self, config: &str) {
        self.dir.write("emulator.yaml", config);
    }

    /// The CA's certificate file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("data/ca.crt")
    }

    /// The CA's certificate.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn ca(&self) -> String {
        std::fs::read_to_string(self.ca_file()).expect("a serving emulator has written its CA")
    }

    /// All messages kept, oldest first, of `device` or of everybody.
    #[must_use]
    pub fn events(&self, device: Option<&str>) -> Vec<Value> {
        let device =
            device.map(|device| format!("?device={}", lanyard_protocol::hub::property_bag::encode(device)));
        let body = self.get(&format!("/api/events{}", device.unwrap_or_default()));
        body.lines().map(|line| serde_json::from_str(line).expect("events are lines of JSON")).collect()
    }

    /// Every device of every hub.
    #[must_use]
    pub fn devices(&self) -> Vec<Value> {
        serde_json::from_str(&self.get("/api/devices")).expect("devices are a list in JSON")
    }

    /// One device: `connected`, `connections`, `takeovers`, `messages`…
    #[must_use]
    pub fn device(&self, id: &str) -> Option<Value> {
        self.devices().into_iter().find(|device| device["deviceId"] == id)
    }

    /// Closes a device's connection; `false` when it has none.
    #[must_use]
    pub fn disconnect(&self, id: &str) -> bool {
        let path = format!("/api/devices/{}/disconnect", lanyard_protocol::hub::property_bag::encode(id));
        http::post(self.web, &path).is_ok_and(|response| response.status == 200)
    }

    /// Waits until `device` fulfils `condition`.
    pub fn wait_for_device(&self, what: &str, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{id}: {what}"), LIMIT, || self.device(id).filter(&condition))
    }

    /// Waits until `count` messages of `device` are kept, and gives them.
    pub fn wait_for_events(&self, device: &str, count: usize, limit: Duration) -> Vec<Value> {
        eventually(&format!("{count} messages of {device}"), limit, || {
            Some(self.events(Some(device))).filter(|events| events.len() >= count)
        })
    }

    fn get(&self, path: &str) -> String {
        let response = http::get(self.web, path).expect("a serving emulator answers");
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        response.body
    }
}

fn serve(dir: &Scratch, mqtt: &str) -> (Process, SocketAddr, SocketAddr) {
    let data = dir.path().join("data");
    // What an emulator that was killed left behind would be taken for the new one's.
    let addresses_file = data.join("addresses.json");
    let _ = std::fs::remove_file(&addresses_file);
    let mut command = Command::new(binary("lanyard-emulator"));
    command.arg("serve").arg("--data-dir").arg(&data).arg("--config").arg(dir.path().join("emulator.yaml"));
    command.args(["--mqtt", mqtt, "--web", "127.0.0.1:0"]);
    let mut process = Process::spawn("lanyard-emulator", command);
    let addresses: Value = eventually("the emulator serves", LIMIT, || {
        assert!(process.ended().is_none(), "the emulator ended: {}", process.log());
        serde_json::from_str(&std::fs::read_to_string(&addresses_file).ok()?).ok()
    });
    let address = |name: &str| {
        addresses[name]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("the emulator writes its addresses")
    };
    (process, address("mqtt"), address("web"))
}
