//! A running emulator and devices of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_protocol::hub::sas::SasToken;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::bytes::{ACCEPTED, Connect, hex, publish};

pub(crate) const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const CONFIG: &str = "
hubs:
  - hostName: contoso.azure-devices.net
    devices:
      - {deviceId: dev1, authentication: {symmetricKey: {primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}}
      - {deviceId: dev2, authentication: {symmetricKey: {primaryKey: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}}
";

/// A directory of this test's own, gone afterwards.
pub(crate) struct Directory(PathBuf);

impl std::ops::Deref for Directory {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Creates a new directory.
pub(crate) fn directory() -> Directory {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("lanyard-process-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).unwrap();
    Directory(path)
}

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lanyard-emulator"))
}

/// Writes `config` to `dir`, and returns the command `serve` for it, on free ports.
pub(crate) fn serve(dir: &Path, config: &str) -> Command {
    std::fs::write(dir.join("emulator.yaml"), config).unwrap();
    let mut command = program();
    command.args(["serve", "--mqtt", "127.0.0.1:0", "--web", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(dir.join("data")).arg("--config").arg(dir.join("emulator.yaml"));
    command
}

/// Returns the output of a program that exits by itself.
pub(crate) fn failure(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{text}");
    text
}

pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        match condition() {
            Some(value) => return value,
            None => assert!(start.elapsed() < LIMIT, "timed out waiting for {what}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) struct Running {
    child: Child,
    pub(crate) dir: Arc<Directory>,
    pub(crate) mqtt: SocketAddr,
    pub(crate) web: SocketAddr,
}

impl Running {
    pub(crate) fn start() -> Self {
        let dir = directory();
        let command = serve(&dir, CONFIG);
        Self::spawn(dir, command)
    }

    /// Starts `command` and waits until it serves. Its log goes to the file `log` in `dir`.
    pub(crate) fn spawn(dir: impl Into<Arc<Directory>>, mut command: Command) -> Self {
        let dir = dir.into();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let mut child = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let addresses: serde_json::Value = eventually("the emulator serves", || {
            let log = std::fs::read_to_string(dir.join("log")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "{log}");
            serde_json::from_str(&std::fs::read_to_string(dir.join("data/addresses.json")).ok()?).ok()
        });
        let address = |name: &str| addresses[name].as_str().unwrap().parse().unwrap();
        Self { child, mqtt: address("mqtt"), web: address("web"), dir }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap()
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.join("data/ca.crt")
    }

    /// Sends SIGTERM and waits: the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        eventually("the emulator ends", || self.child.try_wait().unwrap()).code()
    }

    /// Ends and starts again in the same directory.
    pub(crate) fn restart(mut self) -> Self {
        self.terminate();
        let dir = self.dir.clone();
        let command = serve(&dir, CONFIG);
        Self::spawn(dir, command)
    }

    /// Connects a device.
    pub(crate) fn device(&self, id: &str) -> Device {
        let mut device =
            Device::dial(self.mqtt, "localhost", &client(&self.ca(), None, rustls::DEFAULT_VERSIONS))
                .unwrap();
        device.connect(id);
        device
    }

    /// Sends a request: status and body.
    pub(crate) fn http(&self, method: &str, path: &str) -> (u16, String) {
        self.http_with(method, path, "")
    }

    /// Sends a request with a body: status and body.
    pub(crate) fn http_with(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nX-Lanyard-Control: yes");
        self.http_raw(&format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// Sends bytes until the emulator closes: status and body.
    pub(crate) fn http_raw(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.web).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

/// A certificate chain and its key.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Creates the configuration of a TLS client that trusts `ca`.
pub(crate) fn client(
    ca: &Path,
    identity: Option<Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    Arc::new(match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    })
}

pub(crate) struct Device(StreamOwned<ClientConnection, TcpStream>);

impl Device {
    /// Dials and shakes hands, taking the server for `name`.
    pub(crate) fn dial(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> std::io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(LIMIT))?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self(stream))
    }

    pub(crate) fn version(&self) -> rustls::ProtocolVersion {
        self.0.conn.protocol_version().unwrap()
    }

    pub(crate) fn connect(&mut self, id: &str) {
        let key = SymmetricKey::from_base64(K32).unwrap();
        let token =
            SasToken::sign(&key, &format!("contoso.azure-devices.net/devices/{id}"), 4_000_000_000, None);
        let user = format!("contoso.azure-devices.net/{id}/?api-version=2021-04-12");
        self.send(&Connect { clean: true, ..Connect::new(id, &user, token.expose()) }.bytes());
        self.expect(ACCEPTED);
    }

    pub(crate) fn publish(&mut self, id: &str, bag: &str, body: &str) {
        self.send(&publish(&format!("devices/{id}/messages/events/{bag}"), 1, 7, body.as_bytes()));
        self.expect("40020007");
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        self.0.flush().unwrap();
    }

    pub(crate) fn expect(&mut self, expected: &str) {
        let expected = hex(expected);
        let mut read = vec![0; expected.len()];
        self.0.read_exact(&mut read).unwrap();
        assert_eq!(read, expected);
    }

    /// Reads an answer and checks that it is one of two of that length.
    pub(crate) fn expect_either(&mut self, one: &str, other: &str) {
        let mut read = vec![0; one.len() / 2];
        self.0.read_exact(&mut read).unwrap();
        assert!(read == hex(one) || read == hex(other), "{read:x?}");
    }

    /// Returns whether the emulator answers before it closes the connection.
    pub(crate) fn is_answered(&mut self, bytes: &[u8]) -> bool {
        let sent = self.0.write_all(bytes).and_then(|()| self.0.flush());
        sent.is_ok() && self.0.read(&mut [0; 4]).is_ok_and(|read| read > 0)
    }

    /// Waits until the emulator closes.
    pub(crate) fn closed(&mut self) {
        let mut rest = Vec::new();
        // An abrupt end is an end.
        let _ = self.0.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
}
