//! A hostile server: TLS with a CA of its own, and bytes of MQTT as a test writes them. One thread a connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The answer to CONNECT that accepts.
pub const CONNACK: &[u8] = b"\x20\x02\x00\x00";

/// A connection after the TLS handshake.
pub type ClientLine = StreamOwned<ServerConnection, TcpStream>;

/// A running server. Its threads end with the test's process.
#[derive(Debug)]
pub struct Stranger {
    /// Port of the listener on 127.0.0.1.
    pub port: u16,
    /// The CA of its certificate for `localhost`, in PEM.
    pub ca: String,
    connections: Arc<AtomicUsize>,
}

impl Stranger {
    /// Starts one that treats every connection as `behave` says.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(behave: impl Fn(ClientLine) + Send + Sync + 'static) -> Self {
        let (config, ca) = identity();
        let behave = Arc::new(behave);
        Self::listen(ca, move |socket| {
            let Ok(tls) = ServerConnection::new(Arc::clone(&config)) else { return };
            behave(StreamOwned::new(tls, socket));
        })
    }

    /// Starts one that accepts connections and says nothing, not even in TLS.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn silent() -> Self {
        Self::listen(identity().1, |socket| {
            std::thread::sleep(Duration::from_secs(600));
            drop(socket);
        })
    }

    fn listen(ca: String, behave: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (behave, counted) = (Arc::new(behave), Arc::clone(&connections));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                let behave = Arc::clone(&behave);
                std::thread::spawn(move || behave(socket));
            }
        });
        Self { port, ca, connections }
    }

    /// Returns the number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn identity() -> (Arc<ServerConfig>, String) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("the provider makes keys");
    let (ca_key, key) = (key(), key());
    let pem = ca.self_signed(&ca_key).expect("the parameters are complete").pem();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("localhost is a name");
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).expect("the parameters are complete");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("the key was made here");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("certificate and key belong together");
    (Arc::new(config), pem)
}

/// Reads a packet: its first byte and the bytes after its length.
///
/// # Errors
/// When the connection ends.
pub fn read_packet(line: &mut ClientLine) -> std::io::Result<(u8, Vec<u8>)> {
    let mut byte = [0];
    line.read_exact(&mut byte)?;
    let (first, mut length, mut shift) = (byte[0], 0_usize, 0);
    loop {
        line.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] < 0x80 {
            break;
        }
        if shift > 21 {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    let mut rest = vec![0; length];
    line.read_exact(&mut rest)?;
    Ok((first, rest))
}

/// Returns a PUBLISH with QoS 1.
#[must_use]
pub fn publish(topic: &str, body: &[u8]) -> Vec<u8> {
    let length = 2 + topic.len() + 2 + body.len();
    let mut packet = vec![0x32];
    let mut rest = length;
    while rest >= 0x80 {
        packet.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    packet.push(rest as u8);
    packet.extend_from_slice(&u16::try_from(topic.len()).unwrap_or(u16::MAX).to_be_bytes());
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet.extend_from_slice(body);
    packet
}

/// Plays DPS: answers every request with the topic `$dps/registrations/res/` + `answer`, where `{rid}` is the request's, and
/// this body. Counts the requests.
pub fn dps(
    answer: &'static str,
    body: &'static str,
    requests: Arc<AtomicUsize>,
) -> impl Fn(ClientLine) + Send + Sync {
    move |mut line| {
        // The connection's end is the test's.
        let _ = serve_dps(&mut line, answer, body, &requests);
    }
}

fn serve_dps(line: &mut ClientLine, answer: &str, body: &str, requests: &AtomicUsize) -> std::io::Result<()> {
    loop {
        let (first, packet) = read_packet(line)?;
        match first >> 4 {
            1 => line.write_all(CONNACK)?,
            3 => {
                requests.fetch_add(1, Ordering::Relaxed);
                let length = usize::from(u16::from_be_bytes([packet[0], packet[1]]));
                let topic = String::from_utf8_lossy(&packet[2..2 + length]).into_owned();
                line.write_all(&[0x40, 2, packet[2 + length], packet[3 + length]])?;
                let rid = topic.split("$rid=").nth(1).unwrap_or_default();
                let rid = rid.split('&').next().unwrap_or_default();
                let topic = format!("$dps/registrations/res/{}", answer.replace("{rid}", rid));
                line.write_all(&publish(&topic, body.as_bytes()))?;
            }
            8 => line.write_all(&[0x90, 3, packet[0], packet[1], 1])?,
            12 => line.write_all(&[0xd0, 0])?,
            14 => return Ok(()),
            _ => {}
        }
    }
}
