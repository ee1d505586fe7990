//! A connection over a pipe, under paused time: pings, deadlines and deliveries. The times are virtual and exact.

use super::*;
use crate::config::credential::Credential;
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::key::SymmetricKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const CONNACK: &[u8] = b"\x20\x02\x00\x00";
const PINGREQ: &[u8] = b"\xc0\x00";
const PINGRESP: &[u8] = b"\xd0\x00";
const DISCONNECT: &[u8] = b"\xe0\x00";

fn peer() -> Peer {
    Peer { role: "hub", at: HostPort::parse("h").unwrap() }
}

fn login() -> Login {
    let key = SymmetricKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    Login::at_hub(&Credential::of_key(key), "h", "d", None, 1, KEEP_ALIVE)
}

/// Returns an accepted connection, and the server's end of the pipe after CONNECT.
async fn connect() -> (MqttLink<DuplexStream>, DuplexStream) {
    let (line, mut server) = tokio::io::duplex(65_536);
    server.write_all(CONNACK).await.unwrap();
    let link = MqttLink::over(line, &peer(), &login()).await.map_err(|failure| failure.message).unwrap();
    assert_eq!(read(&mut server).await[0], 0x10, "the first packet is CONNECT");
    (link, server)
}

/// Reads what is there.
async fn read(server: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let length = server.read(&mut bytes).await.unwrap();
    bytes.truncate(length);
    bytes
}

async fn failure(link: &mut MqttLink<DuplexStream>) -> Failure {
    link.next().await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn silent_server_is_noticed_after_two_keep_alives() {
    let (mut link, mut server) = connect().await;
    let started = Instant::now();
    let failure = failure(&mut link).await;
    assert_eq!((started.elapsed(), failure.reason), (KEEP_ALIVE * 2, ConnectionReason::Timeout));
    assert!(failure.message.contains("ping"), "{failure:?}");
    assert_eq!(read(&mut server).await, PINGREQ);
}

#[tokio::test(start_paused = true)]
async fn answered_pings_keep_the_connection() {
    let (mut link, mut server) = connect().await;
    let started = Instant::now();
    let answering = async {
        for ping in 1..=3 {
            assert_eq!(read(&mut server).await, PINGREQ);
            assert_eq!(started.elapsed(), KEEP_ALIVE * ping);
            server.write_all(PINGRESP).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let failure = tokio::select! {
        failure = failure(&mut link) => failure,
        () = answering => unreachable!(),
    };
    assert_eq!((started.elapsed(), failure.reason), (KEEP_ALIVE * 5, ConnectionReason::Timeout));
}

#[tokio::test(start_paused = true)]
async fn login_without_an_answer_times_out_after_thirty_seconds() {
    let (line, _server) = tokio::io::duplex(65_536);
    let started = Instant::now();
    let failure = MqttLink::over(line, &peer(), &login()).await.err().unwrap();
    assert_eq!((started.elapsed(), failure.reason), (Duration::from_secs(30), ConnectionReason::Timeout));
}

#[tokio::test(start_paused = true)]
async fn close_sends_disconnect_and_waits_a_second_for_the_server() {
    let (mut link, mut server) = connect().await;
    let started = Instant::now();
    link.close().await;
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    assert_eq!(read(&mut server).await, DISCONNECT);
    let (mut link, mut server) = connect().await;
    let started = Instant::now();
    let releasing = async {
        assert_eq!(read(&mut server).await, DISCONNECT);
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(server);
    };
    tokio::join!(link.close(), releasing);
    assert_eq!(started.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn message_is_delivered_when_it_is_acknowledged() {
    let (mut link, mut server) = connect().await;
    let body = Bytes::from_static(b"x");
    for token in [7, 8] {
        link.publish("t".to_owned(), QoS::AtLeastOnce, &body, DeliveryToken(token)).unwrap();
    }
    let waiting = tokio::time::timeout(Duration::from_secs(5), link.next()).await;
    assert!(waiting.is_err(), "nothing is delivered yet: {waiting:?}");
    assert_eq!(read(&mut server).await, b"\x32\x06\x00\x01t\x00\x01x\x32\x06\x00\x01t\x00\x02x");
    // Of the second one, of an unknown one, and of the first one.
    server.write_all(b"\x40\x02\x00\x02\x40\x02\x00\x09\x40\x02\x00\x01").await.unwrap();
    for token in [8, 7] {
        assert_eq!(link.next().await, Ok(Arrival::Delivered(DeliveryToken(token))));
    }
}

/// The pipe has room for a part of the first message only.
#[tokio::test(start_paused = true)]
async fn message_with_qos_0_is_delivered_when_it_is_written() {
    let (mut link, mut server) = connect().await;
    for (token, length) in [(7, 70_000), (8, 1)] {
        let body = Bytes::from("x".repeat(length));
        link.publish("t".to_owned(), QoS::AtMostOnce, &body, DeliveryToken(token)).unwrap();
    }
    let waiting = tokio::time::timeout(Duration::from_secs(1), link.next()).await;
    assert!(waiting.is_err(), "nothing is written completely yet: {waiting:?}");
    let mut written = vec![0; 10_000];
    server.read_exact(&mut written).await.unwrap();
    for token in [7, 8] {
        assert_eq!(link.next().await, Ok(Arrival::Delivered(DeliveryToken(token))));
    }
    written.resize(70_007 + 6, 0);
    server.read_exact(&mut written[10_000..]).await.unwrap();
    assert_eq!(&written[..9], b"\x30\xf3\xa2\x04\x00\x01txx");
    assert_eq!(&written[70_006..], b"x\x30\x04\x00\x01tx");
}

#[tokio::test(start_paused = true)]
async fn inbound_message_is_acknowledged_by_its_packet_id() {
    let (mut link, mut server) = connect().await;
    server.write_all(b"\x32\x06\x00\x01t\x01\x02x\x30\x04\x00\x01ty").await.unwrap();
    for (packet_id, payload) in [(0x102, "x"), (0, "y")] {
        let expected = InboundMessage { topic: "t".to_owned(), payload: Bytes::from(payload), packet_id };
        let Ok(Arrival::Message(message)) = link.next().await else { unreachable!() };
        assert_eq!(message, expected);
        link.acknowledge(&message);
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), link.next()).await;
    assert_eq!(read(&mut server).await, b"\x40\x02\x01\x02", "nothing is due for QoS 0");
}
