//! A running emulator: its own data directory, a free port or a loopback address of its own, and its controls.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lanyard_protocol::hub::property_bag::encode;
use serde_json::{Value, json};

use crate::http;
use crate::process::{LIMIT, Process, binary, eventually};
use crate::scratch::Scratch;

/// A running emulator. It ends with its scope.
#[derive(Debug)]
pub struct Emulator {
    process: Process,
    dir: Scratch,
    /// Address for devices.
    pub mqtt: SocketAddr,
    /// Address of the controls.
    pub web: SocketAddr,
}

impl Emulator {
    /// Starts one with this configuration (YAML) on a free port of 127.0.0.1.
    #[must_use]
    pub fn start(config: &str) -> Self {
        Self::start_at(config, &lasting_address())
    }

    /// Starts one whose devices connect to `mqtt`, such as `127.0.0.2:8883` for SDKs that dial no other port.
    #[must_use]
    pub fn start_at(config: &str, mqtt: &str) -> Self {
        let dir = Scratch::new("emulator");
        dir.write("emulator.yaml", config);
        let (process, mqtt_address, web) = serve(&dir, mqtt);
        Self { process, dir, mqtt: mqtt_address, web }
    }

    /// Ends it at once and starts it again with the same data, configuration and address.
    pub fn restart(&mut self) {
        self.process.kill();
        // Devices remember it.
        (self.process, self.mqtt, self.web) = serve(&self.dir, &self.mqtt.to_string());
    }

    /// Ends it at once (SIGKILL), until [`Emulator::restart`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Returns the emulator's process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Returns everything it logged since it was started.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Replaces the configuration file; it is read at the next start.
    pub fn configure(&self, config: &str) {
        self.dir.write("emulator.yaml", config);
    }

    /// Returns the path of the CA's certificate file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("data/ca.crt")
    }

    /// Reads the CA's certificate.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn ca(&self) -> String {
        std::fs::read_to_string(self.ca_file()).expect("a serving emulator has written its CA")
    }

    /// Returns all messages kept, oldest first, of `device` or of all devices.
    #[must_use]
    pub fn events(&self, device: Option<&str>) -> Vec<Value> {
        let device = device.map(|device| format!("?device={}", encode(device)));
        let body = self.get(&format!("/api/events{}", device.unwrap_or_default()));
        body.lines().map(|line| serde_json::from_str(line).expect("events are lines of JSON")).collect()
    }

    /// Returns the state of every device of every hub.
    #[must_use]
    pub fn devices(&self) -> Vec<Value> {
        serde_json::from_str(&self.get("/api/devices")).expect("devices are a list in JSON")
    }

    /// Returns the state of one device: `connected`, `connections`, `takeovers`, `messages`…
    #[must_use]
    pub fn device(&self, id: &str) -> Option<Value> {
        self.devices().into_iter().find(|device| device["deviceId"] == id)
    }

    /// Closes a device's connection; `false` when it has none.
    #[must_use]
    pub fn disconnect(&self, id: &str) -> bool {
        let path = format!("/api/devices/{}/disconnect", encode(id));
        http::post(self.web, &path).is_ok_and(|response| response.status == 200)
    }

    /// Lets one in so many acknowledgements of a device's messages get lost from now on: 1 is all, 0 none.
    ///
    /// # Panics
    /// When the emulator does not take it.
    pub fn lose_pubacks(&self, id: &str, one_in: u32) {
        let name = format!("lost-pubacks-of-{id}");
        if one_in == 0 {
            self.delete_fault(&name);
        } else {
            self.put_fault(&name, &json!({"deviceId": id, "loseAcknowledgements": {"oneIn": one_in}}));
        }
    }

    /// Sets a fault, such as `{"deviceId": "d1", "count": 3, "refuseConnections": {"returnCode": 3}}`.
    ///
    /// # Panics
    /// When the emulator does not take it.
    pub fn put_fault(&self, name: &str, body: &Value) -> Value {
        self.put(&format!("/api/faults/{}", encode(name)), body)
    }

    /// Returns how often a fault has occurred.
    #[must_use]
    pub fn occurred(&self, fault: &str) -> u64 {
        self.value(&format!("/api/faults/{}", encode(fault)))["occurred"].as_u64().unwrap_or(0)
    }

    /// Deletes a fault.
    pub fn delete_fault(&self, name: &str) {
        self.delete(&format!("/api/faults/{}", encode(name)));
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

    /// Changes an enrollment group while it runs, in the field names of Azure's REST API, or makes a new one; what `body`
    /// does not name stays as it is. A key is rotated with `{"attestation": {…}}`, devices are sent to another hub with
    /// `{"iotHubs": ["…"]}`, and refused with `{"provisioningStatus": "disabled"}`.
    ///
    /// # Panics
    /// When the emulator does not take it.
    pub fn put_enrollment_group(&self, id: &str, body: &Value) -> Value {
        self.put(&format!("/api/enrollmentGroups/{}", encode(id)), body)
    }

    /// Returns the current state of a group, without its keys.
    #[must_use]
    pub fn enrollment_group(&self, id: &str) -> Value {
        self.value(&format!("/api/enrollmentGroups/{}", encode(id)))
    }

    /// Removes a group; its devices stay at their hub, but cannot register any more.
    pub fn delete_enrollment_group(&self, id: &str) {
        self.delete(&format!("/api/enrollmentGroups/{}", encode(id)));
    }

    /// Changes an individual enrollment or makes a new one, as [`Emulator::put_enrollment_group`] does for a group.
    ///
    /// # Panics
    /// When the emulator does not take it.
    pub fn put_enrollment(&self, registration_id: &str, body: &Value) -> Value {
        self.put(&format!("/api/enrollments/{}", encode(registration_id)), body)
    }

    /// Removes an individual enrollment.
    pub fn delete_enrollment(&self, registration_id: &str) {
        self.delete(&format!("/api/enrollments/{}", encode(registration_id)));
    }

    /// Changes a device of a hub's registry, or makes a new one: its thumbprints with `{"authentication": {"type":
    /// "selfSigned", "x509Thumbprint": {…}}}`, whether it may connect with `{"status": "disabled"}`.
    ///
    /// # Panics
    /// When the emulator does not take it.
    pub fn put_device(&self, hub: &str, id: &str, body: &Value) -> Value {
        self.put(&format!("/api/hubs/{hub}/devices/{}", encode(id)), body)
    }

    /// Removes a device from a hub's registry, which closes its connection.
    pub fn delete_device(&self, hub: &str, id: &str) {
        self.delete(&format!("/api/hubs/{hub}/devices/{}", encode(id)));
    }

    /// Lets a hub know a device by the thumbprints of one or two certificates.
    pub fn put_thumbprints(
        &self,
        hub: &str,
        id: &str,
        primary: Option<&str>,
        secondary: Option<&str>,
    ) -> Value {
        let thumbprints = json!({"primaryThumbprint": primary, "secondaryThumbprint": secondary});
        let authentication = json!({"type": "selfSigned", "x509Thumbprint": thumbprints});
        self.put_device(hub, id, &json!({"authentication": authentication}))
    }

    /// Uploads a CA certificate in PEM, verified or not.
    pub fn put_certificate(&self, name: &str, pem: &str, verified: bool) -> Value {
        let properties = json!({"certificate": pem, "isVerified": verified});
        self.put(&format!("/api/certificates/{}", encode(name)), &json!({"properties": properties}))
    }

    /// Returns the current state of a CA certificate.
    #[must_use]
    pub fn certificate(&self, name: &str) -> Value {
        self.value(&format!("/api/certificates/{}", encode(name)))
    }

    /// Removes a CA certificate.
    pub fn delete_certificate(&self, name: &str) {
        self.delete(&format!("/api/certificates/{}", encode(name)));
    }

    /// Generates a new verification code for a CA certificate; the one before does not count any more.
    ///
    /// # Panics
    /// When there is no such certificate.
    #[must_use]
    pub fn verification_code(&self, name: &str) -> String {
        let path = format!("/api/certificates/{}/generateVerificationCode", encode(name));
        let answer = self.expect("POST", &path, "", 200);
        let answer: Value = serde_json::from_str(&answer).expect("certificates are JSON");
        answer["properties"]["verificationCode"].as_str().expect("the answer has the code").to_owned()
    }

    /// Shows a proof of possession in PEM: a certificate whose CN is the code, signed by the CA.
    ///
    /// # Errors
    /// What the emulator says of a proof that does not count.
    ///
    /// # Panics
    /// When the emulator does not answer.
    pub fn verify_certificate(&self, name: &str, proof: &str) -> Result<Value, String> {
        let path = format!("/api/certificates/{}/verify", encode(name));
        let body = json!({"certificate": proof}).to_string();
        let response = http::send("POST", self.web, &path, &body).expect("a serving emulator answers");
        match response.status {
            200 => Ok(serde_json::from_str(&response.body).expect("certificates are JSON")),
            _ => Err(response.body),
        }
    }

    fn put(&self, path: &str, body: &Value) -> Value {
        serde_json::from_str(&self.expect("PUT", path, &body.to_string(), 200)).expect("objects are JSON")
    }

    fn delete(&self, path: &str) {
        self.expect("DELETE", path, "", 204);
    }

    fn value(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).expect("objects are JSON")
    }

    fn expect(&self, method: &str, path: &str, body: &str, status: u16) -> String {
        let response = http::send(method, self.web, path, body).expect("a serving emulator answers");
        assert_eq!(response.status, status, "{method} {path}: {}", response.body);
        response.body
    }

    fn get(&self, path: &str) -> String {
        let response = http::get(self.web, path).expect("a serving emulator answers");
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        response.body
    }
}

/// Returns an address without a listener, with a port outside of the range that the system assigns: a killed emulator
/// finds it free when it restarts.
fn lasting_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    // Other processes of the tests begin elsewhere.
    let start = std::process::id().wrapping_mul(97);
    let ports =
        (0..20_000).map(|_| 10_000 + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000);
    let mut ports = ports.map(|port| u16::try_from(port).expect("it is below 30,000"));
    format!("127.0.0.1:{}", ports.find(free).expect("one of 20,000 ports is free"))
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
