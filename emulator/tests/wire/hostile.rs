//! Invalid bytes: the emulator closes the connection, and continues.

use proptest::prelude::*;

use crate::bytes::{ACCEPTED, CONNECT_DEV1, CONNECT_DPS, hex, publish, subscribe};
use crate::client::{Client, Emulator};
use lanyard_emulator::connection::unauthenticated::LIMIT;

/// Sends `bytes` in pieces of `piece`, and waits until the connection ends.
fn feed(bytes: &[u8], piece: usize) -> String {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut client = Emulator::new().client();
        for part in bytes.chunks(piece.max(1)) {
            client.try_send(part).await;
        }
        client.rest().await
    })
}

/// Returns the bytes of a valid conversation.
fn conversation() -> Vec<u8> {
    [
        hex(CONNECT_DEV1),
        subscribe(1, &[("devices/dev1/messages/devicebound/#", 1)]),
        publish("devices/dev1/messages/events/%24.mid=m&k=v", 1, 2, b"{}"),
        publish("$iothub/twin/GET/?$rid=1", 0, 0, b" "),
        hex("40020001c000"),
    ]
    .concat()
}

#[test]
fn packets_survive_any_split_of_bytes() {
    let whole = feed(&conversation(), usize::MAX);
    assert!(whole.starts_with("20020000900300010140020002") && whole.ends_with("d000"), "{whole}");
    for piece in [1, 2, 3, 7, 100] {
        assert_eq!(feed(&conversation(), piece), whole);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_end_the_connection(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1usize..50) {
        feed(&bytes, piece);
    }

    #[test]
    fn random_bytes_behind_connect_end_the_connection(bytes in prop::collection::vec(any::<u8>(), 0..300), dps: bool) {
        feed(&[hex(if dps { CONNECT_DPS } else { CONNECT_DEV1 }), bytes].concat(), usize::MAX);
    }

    #[test]
    fn random_packets_end_the_connection(packets in prop::collection::vec((any::<u8>(),
        prop::collection::vec(any::<u8>(), 0..60)), 0..8), dps: bool) {
        let mut bytes = hex(if dps { CONNECT_DPS } else { CONNECT_DEV1 });
        for (first, rest) in packets {
            bytes.extend(crate::bytes::packet(first, &rest));
        }
        feed(&bytes, usize::MAX);
    }

    #[test]
    fn damaged_conversations_end_the_connection(at: prop::sample::Index, value: u8, cut: prop::sample::Index) {
        let mut bytes = conversation();
        let at = at.index(bytes.len());
        bytes[at] = value;
        bytes.truncate(cut.index(bytes.len()) + 1);
        feed(&bytes, usize::MAX);
    }
}

#[tokio::test]
async fn half_open_connections_do_not_block_devices() {
    let emulator = Emulator::new();
    let mut device = emulator.dev1().await;
    let mut held: Vec<Client> = (0..LIMIT * 2).map(|_| emulator.client()).collect();
    let mut late = emulator.client();
    late.send(&hex(CONNECT_DPS)).await;
    late.expect(ACCEPTED).await;
    assert_eq!(held.remove(0).rest().await, "", "the oldest is closed at once");
    // A device that has logged in is no stranger.
    device.send(&hex("c000")).await;
    device.expect("d000").await;
}

#[tokio::test]
async fn large_packets_are_for_known_devices_only() {
    // 100 KiB follow, says the header of this CONNECT.
    let rest = feed_now(&hex("1080a006")).await;
    assert_eq!(rest, "");
}

/// Sends `bytes` and returns the answer; expects the connection to close at once, and not after the time that a login
/// may take.
async fn feed_now(bytes: &[u8]) -> String {
    let mut client = Emulator::new().client();
    client.try_send(bytes).await;
    tokio::time::timeout(std::time::Duration::from_secs(2), client.rest()).await.unwrap()
}
