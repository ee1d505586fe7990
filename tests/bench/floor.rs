//! The floor of the data path: a program that only sends. Its packets are made before; each is written over the TLS stack of
//! the agent to the same emulator, and its PUBACK awaited, a window of them being under way. It runs as a process of
//! its own, so that its CPU time is counted as the agent's is. Talks to the network.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_protocol::hub::property_bag::{CONTENT_ENCODING, CONTENT_TYPE, MESSAGE_ID, PropertyBag};
use lanyard_protocol::hub::sas::{SasToken, device_resource};
use lanyard_protocol::hub::topic;
use lanyard_protocol::hub::user_name::HubUserName;
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{Process, eventually};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::failure::Failure;
use crate::plant::{KEY, WARM_UP, device_name, emulator_metric};
use crate::usage;

/// The word on the benchmark's command line that makes it this program.
pub(crate) const WORD: &str = "floor";
/// Messages under way of one connection: as many as the agent allows itself.
const WINDOW: usize = 32;
const PUBACK_LEN: usize = 4;

/// Measures the messages that the floor sends for each second of its CPU time: `bytes` long bodies over `connections`,
/// for `time`.
pub(crate) fn messages_per_core(
    emulator: &mut Emulator,
    connections: usize,
    bytes: usize,
    time: Duration,
) -> Result<f64, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(emulator.mqtt.port().to_string()).arg(emulator.ca_file());
    command.arg(connections.to_string()).arg(bytes.to_string());
    let before = emulator_metric(emulator, "messages_total")?;
    let mut process = Process::spawn(WORD, command);
    eventually("the floor sends", Duration::from_secs(60), || {
        assert!(process.ended().is_none(), "the floor ended: {}", process.log());
        (emulator_metric(emulator, "messages_total").ok()? > before).then_some(())
    });
    std::thread::sleep(WARM_UP / 3);
    let look =
        || Ok::<_, Failure>((emulator_metric(emulator, "messages_total")?, usage::cpu_time(process.id())?));
    let (first, second) = (look()?, {
        std::thread::sleep(time);
        look()?
    });
    Ok((second.0 - first.0) as f64 / (second.1 - first.1).as_secs_f64())
}

/// Runs the program itself, which sends until it is killed.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let [port, ca, connections, bytes] = arguments else {
        return Err("floor PORT CA CONNECTIONS BYTES".into());
    };
    let (port, bytes) = (port.parse()?, bytes.parse()?);
    let tls = tls(Path::new(ca))?;
    let connections = (0..connections.parse::<usize>()?).map(|device| Line::open(port, &tls, device, bytes));
    let mut connections = connections.collect::<Result<Vec<_>, _>>()?;
    loop {
        for line in &mut connections {
            line.send()?;
        }
    }
}

/// Creates a TLS configuration like the agent's, which trusts only the CA in this file.
fn tls(ca: &Path) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

struct Line {
    stream: StreamOwned<ClientConnection, TcpStream>,
    packet: Vec<u8>,
    /// Position of the id in the packet.
    id_at: usize,
    id: u16,
    under_way: usize,
}

impl Line {
    fn open(port: u16, tls: &Arc<ClientConfig>, device: usize, bytes: usize) -> Result<Self, Failure> {
        let socket = TcpStream::connect(("localhost", port))?;
        socket.set_nodelay(true)?;
        let connection = ClientConnection::new(Arc::clone(tls), ServerName::try_from("localhost")?)?;
        let mut stream = StreamOwned::new(connection, socket);
        let name = device_name(device);
        stream.write_all(&connect(&name)?)?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        if answer[0] != 0x20 || answer[3] != 0 {
            return Err(format!("the hub refuses {name}: {answer:?}").into());
        }
        let (packet, id_at) = publish(&name, bytes);
        Ok(Self { stream, packet, id_at, id: 0, under_way: 0 })
    }

    fn send(&mut self) -> Result<(), Failure> {
        self.id = self.id.checked_add(1).unwrap_or(1);
        self.packet[self.id_at..self.id_at + 2].copy_from_slice(&self.id.to_be_bytes());
        self.stream.write_all(&self.packet)?;
        self.under_way += 1;
        while self.under_way >= WINDOW {
            let mut answers = [0; WINDOW * PUBACK_LEN];
            let read = self.stream.read(&mut answers)?;
            if read == 0 {
                return Err("the hub closed the connection".into());
            }
            // Answers are written whole.
            self.under_way -= read / PUBACK_LEN;
        }
        Ok(())
    }
}

fn connect(device: &str) -> Result<Vec<u8>, Failure> {
    const FOREVER: u64 = 4_000_000_000;
    let resource = device_resource("localhost", device);
    let token = SasToken::sign(&SymmetricKey::from_base64(KEY)?, &resource, FOREVER, None);
    let user = HubUserName::of_device("localhost", device, None, "lanyard-bench").to_string();
    // MQTT 3.1.1, user name and password, clean session, no keep-alive.
    let mut rest = b"\x00\x04MQTT\x04\xc2\x00\x00".to_vec();
    [device, &user, token.expose()].into_iter().for_each(|text| put_text(&mut rest, text));
    Ok(packet(0x10, &rest))
}

/// Returns a PUBLISH packet like the agent's, QoS 1, and the position of its packet id.
fn publish(device: &str, bytes: usize) -> (Vec<u8>, usize) {
    let properties: PropertyBag = [
        (MESSAGE_ID, "0123456789abcdef-100000"),
        (CONTENT_TYPE, "application/json"),
        (CONTENT_ENCODING, "utf-8"),
    ]
    .into_iter()
    .collect();
    let mut rest = Vec::new();
    put_text(&mut rest, &topic::telemetry(device, &properties));
    let behind = 2 + bytes;
    rest.resize(rest.len() + behind, b'x');
    let packet = packet(0x32, &rest);
    let id_at = packet.len() - behind;
    (packet, id_at)
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut left = rest.len();
    while left >= 0x80 {
        packet.push(left as u8 | 0x80);
        left >>= 7;
    }
    packet.push(left as u8);
    packet.extend_from_slice(rest);
    packet
}
