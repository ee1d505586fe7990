//! The agent's certificate in a real TLS handshake: what the server sees of it, and what the agent says when the server
//! refuses it there. Hubs refuse later, at CONNECT (ref §1.4); gateways need not.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, reason = "what goes wrong here is a test that fails")]

use std::sync::Arc;
use std::time::Duration;

use lanyard_agent::config::certificate::Certificate;
use lanyard_agent::config::credential::Credential;
use lanyard_agent::mqtt::failure::{Failure, Peer};
use lanyard_agent::mqtt::link::{MqttLink, MqttTransport};
use lanyard_agent::mqtt::login::Login;
use lanyard_agent::mqtt::transport::Transport;
use lanyard_agent::mqtt::trust::Trust;
use lanyard_handoff::status::ConnectionReason;
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::key::SymmetricKey;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

struct Ca {
    pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn device(&self, years: std::ops::Range<i32>) -> Credential {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem() + &self.pem;
        let parsed = Certificate::parse(chain.as_bytes(), key.serialize_pem().as_bytes());
        Credential::of_certificate(parsed.unwrap())
    }
}

/// Observation of a connection: number of certificates, and the first bytes.
type Seen = (usize, Vec<u8>);

/// Starts a server with a certificate of `server`, which requires one of `clients` and accepts every login.
async fn serve(
    server: &Ca,
    clients: &Ca,
    version: &'static rustls::SupportedProtocolVersion,
) -> (Peer, mpsc::UnboundedReceiver<Seen>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.der.clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &server.issuer).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = HostPort::parse(&format!("localhost:{}", listener.local_addr().unwrap().port())).unwrap();
    let (sender, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut bytes = vec![0; 2048];
            let length = stream.read(&mut bytes).await.unwrap();
            bytes.truncate(length);
            let shown = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
            sender.send((shown, bytes)).unwrap();
            stream.write_all(b"\x20\x02\x00\x00").await.unwrap();
            let _ = stream.read(&mut [0; 16]).await;
        }
    });
    (Peer { role: "gateway", at }, seen)
}

async fn log_in(peer: &Peer, server: &Ca, credential: &Credential) -> Result<MqttLink, Failure> {
    let trust = Trust::new(None).unwrap();
    let tls = trust.client(Some(server.pem.as_bytes()), credential.certificate()).unwrap();
    let login = Login::at_hub(credential, "h", "dev1", None, 1, Duration::from_secs(60));
    MqttTransport::new(1).connect(peer, login, tls).await
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

#[tokio::test]
async fn the_server_sees_the_whole_chain_and_no_password() {
    for version in VERSIONS {
        let (server, clients) = (Ca::new(), Ca::new());
        let (peer, mut seen) = serve(&server, &clients, version).await;
        let device = clients.device(2000..4000);
        let _link = log_in(&peer, &server, &device).await.map_err(|failure| failure.message).unwrap();
        let (certificates, connect) = seen.recv().await.unwrap();
        assert_eq!(certificates, 2);
        // Fixed header of two bytes, the protocol's name and level, and then the flags: a user name, no password.
        assert_eq!(connect[2..10], *b"\x00\x04MQTT\x04\x80");
    }
}

#[tokio::test]
async fn untrusted_certificate_is_reported_as_refusal() {
    let key = SymmetricKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let (server, clients) = (Ca::new(), Ca::new());
    for version in VERSIONS {
        let (peer, _seen) = serve(&server, &clients, version).await;
        let cases = [
            (Ca::new().device(2000..4000), ConnectionReason::Unauthorized, "has verified the CA"),
            (clients.device(2000..2001), ConnectionReason::CredentialExpired, "renew it"),
            (Credential::of_key(key.clone()), ConnectionReason::Unauthorized, "it requires a certificate"),
        ];
        for (credential, reason, words) in cases {
            let failure = log_in(&peer, &server, &credential).await.err().unwrap();
            // A TLS 1.2 server has no alert for a missing certificate; it reports a failed handshake only.
            let silent = *version == rustls::version::TLS12 && credential.certificate().is_none();
            if silent && failure.reason == ConnectionReason::TlsFailed {
                continue;
            }
            assert_eq!(failure.reason, reason, "{failure:?}");
            assert!(failure.message.contains(words), "{failure:?}");
        }
    }
}
