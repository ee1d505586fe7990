//! Connections to real TLS servers on loopback: certificates that are not trusted, CONNACKs, and hostile hubs.

use super::*;
use crate::config::credential::Credential;
use crate::mqtt::trust::Trust;
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::key::SymmetricKey;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::server::TlsStream;

/// Starts a real TLS server that handles every connection with `behave`; returns its address and the certificate of its
/// own CA in PEM.
async fn start<F>(
    leaf: CertificateParams,
    behave: impl Fn(TlsStream<TcpStream>) -> F + Send + 'static,
) -> (Peer, String)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    // Little room for what the client writes: a server that does not read stops it soon.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(64).unwrap();
    let at = HostPort::parse(&format!("localhost:{}", listener.local_addr().unwrap().port())).unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(socket).await else { continue };
            tokio::spawn(behave(stream));
        }
    });
    (Peer { role: "hub", at }, pem)
}

/// Starts a server that answers every connection's first bytes with `answer`, and closes.
async fn serve(leaf: CertificateParams, answer: &'static [u8]) -> (Peer, String) {
    start(leaf, move |mut stream| async move {
        let _ = stream.read(&mut [0; 2048]).await;
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
    })
    .await
}

async fn open(peer: &Peer, pem: &str, transport: &MqttTransport) -> Result<MqttLink, Failure> {
    let key = SymmetricKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let login = Login::at_hub(&Credential::of_key(key), "h", "d", None, 1, KEEP_ALIVE);
    let tls = Trust::new(None).unwrap().client(Some(pem.as_bytes()), None).unwrap();
    transport.connect(peer, login, tls).await
}

async fn refusal(peer: &Peer, pem: &str) -> Failure {
    open(peer, pem, &MqttTransport::new(1)).await.err().unwrap()
}

fn leaf(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

#[tokio::test]
async fn untrusted_certificates_are_refused_with_a_reason() {
    let mut old = leaf("localhost");
    old.not_after = date_time_ymd(2001, 1, 1);
    old.not_before = date_time_ymd(2000, 1, 1);
    let mut young = leaf("localhost");
    young.not_before = date_time_ymd(3000, 1, 1);
    young.not_after = date_time_ymd(3001, 1, 1);
    let cases = [
        (old, "has expired"),
        (young, "is not valid yet"),
        (leaf("other.example"), "is not for the name \"localhost\""),
    ];
    for (leaf, words) in cases {
        let (peer, pem) = serve(leaf, b"").await;
        let failure = refusal(&peer, &pem).await;
        assert_eq!(failure.reason, ConnectionReason::CertificateNotTrusted, "{failure:?}");
        assert!(failure.message.contains(words), "{failure:?}");
    }
    let (peer, _) = serve(leaf("localhost"), b"").await;
    let (_, stranger) = serve(leaf("localhost"), b"").await;
    let failure = refusal(&peer, &stranger).await;
    assert_eq!(failure.reason, ConnectionReason::CertificateNotTrusted);
    assert!(failure.message.contains("trustedCA"), "{failure:?}");
}

/// The codes of ref §1.10, as bytes.
#[tokio::test]
async fn connack_codes_have_reasons() {
    use lanyard_handoff::status::ConnectionReason as R;
    let cases: [(&'static [u8], R); 8] = [
        (b"\x20\x02\x00\x01", R::ProtocolRefused),
        (b"\x20\x02\x00\x02", R::ProtocolRefused),
        (b"\x20\x02\x00\x03", R::HubUnavailable),
        (b"\x20\x02\x00\x04", R::Unauthorized),
        (b"\x20\x02\x00\x05", R::Unauthorized),
        (b"", R::ConnectionLost),
        (b"\xd0\x00", R::ConnectionLost),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", R::ConnectionLost),
    ];
    for (answer, reason) in cases {
        let (peer, pem) = serve(leaf("localhost"), answer).await;
        let failure = refusal(&peer, &pem).await;
        assert_eq!(failure.reason, reason, "{answer:?}: {failure:?}");
        assert!(failure.message.contains("localhost"), "{failure:?}");
    }
}

const CONNACK: &[u8] = b"\x20\x02\x00\x00";
/// QoS 1, topic "t", packet id 1, no body.
const PUBLISH: &[u8] = b"\x32\x05\x00\x01t\x00\x01";

/// Starts a hub that accepts the login, and then sends `packet` forever; it reads further packets only if `reads`.
async fn flood(packet: &'static [u8], reads: bool) -> (Peer, String) {
    start(leaf("localhost"), move |mut stream| async move {
        let _ = stream.read(&mut [0; 2048]).await;
        let _ = stream.write_all(CONNACK).await;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let writing = async { while writer.write_all(&packet.repeat(1000)).await.is_ok() {} };
        let reading =
            async { while reads && reader.read(&mut [0; 65_536]).await.is_ok_and(|read| read > 0) {} };
        tokio::join!(writing, reading);
    })
    .await
}

/// Answers every message until none has come for `quiet`, or the connection ends; returns the largest number of packets
/// that waited, and the failure. `patient` disables the limit of unasked packets.
async fn answer_all(link: &mut MqttLink, quiet: Duration, patient: bool) -> (usize, Option<Failure>) {
    let mut most = 0;
    loop {
        if patient {
            link.unasked = 0;
        }
        match tokio::time::timeout(quiet, link.next()).await {
            Ok(Ok(Arrival::Message(message))) => link.acknowledge(&message),
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => return (most, Some(failure)),
            Err(_) => return (most, None),
        }
        most = most.max(link.waiting.len());
    }
}

#[tokio::test]
async fn m3_hub_that_floods_and_does_not_read_is_bounded() {
    let (peer, pem) = flood(PUBLISH, false).await;
    let mut link = open(&peer, &pem, &MqttTransport::new(1)).await.unwrap();
    let answers = answer_all(&mut link, Duration::from_secs(2), true);
    let (most, failure) =
        tokio::time::timeout(Duration::from_secs(120), answers).await.expect("reading stops");
    assert_eq!(failure, None, "the link waits until the hub reads, or the ping ends it");
    assert_eq!(most, MAX_UNSENT_ACKNOWLEDGEMENTS, "so many acknowledgements waited when reading stopped");
}

#[tokio::test]
async fn m3_flood_of_unasked_packets_ends_the_connection() {
    for packet in [PUBLISH, b"\x30\x03\x00\x01t", b"\x40\x02\x00\x01", b"\xd0\x00", b"\x90\x03\x00\x01\x01"] {
        let (peer, pem) = flood(packet, true).await;
        let mut link = open(&peer, &pem, &MqttTransport::new(1)).await.unwrap();
        let (_, failure) = answer_all(&mut link, Duration::from_secs(20), false).await;
        let failure = failure.unwrap();
        assert_eq!(failure.reason, ConnectionReason::ProtocolRefused, "{packet:?}: {failure:?}");
        assert!(failure.message.contains("did not ask for"), "{failure:?}");
    }
}

#[tokio::test]
async fn m3_oversized_packet_is_refused_by_its_header() {
    // 268,435,455 bytes follow, says the header.
    let (peer, pem) = serve(leaf("localhost"), b"\x20\x02\x00\x00\x32\xff\xff\xff\x7f").await;
    let mut link = open(&peer, &pem, &MqttTransport::new(1)).await.unwrap();
    let failure = link.next().await.unwrap_err();
    assert!(failure.message.contains("does not follow MQTT"), "{failure:?}");
}

#[tokio::test]
async fn m3_silent_server_does_not_keep_the_turn() {
    let silent = |stream: TlsStream<TcpStream>| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    };
    let (peer, pem) = start(leaf("localhost"), silent).await;
    let transport = MqttTransport::new(1);
    let shared = transport.clone();
    let dialling = tokio::spawn(async move { open(&peer, &pem, &shared).await.map(drop) });
    let (peer, pem) = serve(leaf("localhost"), CONNACK).await;
    while transport.slots.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let opened = tokio::time::timeout(TURN * 2, open(&peer, &pem, &transport)).await;
    assert!(opened.is_ok_and(|opened| opened.is_ok()), "the second server was not dialled in time");
    assert!(!dialling.is_finished(), "the first server is still waited for");
    dialling.abort();
}
