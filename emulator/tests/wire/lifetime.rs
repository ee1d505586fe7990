//! Maximum duration of a connection (ref §1.5, §1.12, §14.6 row 4).

use std::time::Duration;

use crate::bytes::{Connect, hex};
use crate::client::{CONFIG, EARLY, END, Emulator, HUB, device};
use lanyard_emulator::hub::connections::CloseOrder;

fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}

async fn lasts(emulator: &Emulator, keep_alive: u16) -> u64 {
    let mut client = emulator.connected(&Connect { keep_alive, ..device("dev1") }).await;
    seconds(client.lasts().await)
}

/// §1.5.
#[tokio::test(start_paused = true)]
async fn silence_ends_a_connection() {
    assert_eq!(lasts(&Emulator::new(), 60).await, 90);
    assert_eq!(lasts(&Emulator::new(), 1).await, 1);
}

/// §1.5: 29.45 minutes; it replaces a keep-alive of 0, too.
#[tokio::test(start_paused = true)]
async fn silence_has_a_cap() {
    assert_eq!(lasts(&Emulator::new(), 0).await, 1767);
    assert_eq!(lasts(&Emulator::new(), 1740).await, 1767);
}

/// §1.5: any packet counts.
#[tokio::test(start_paused = true)]
async fn pings_keep_a_connection() {
    let emulator = Emulator::new();
    let mut client = emulator.connected(&Connect { keep_alive: 60, ..device("dev1") }).await;
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(80)).await;
        client.send(&hex("c000")).await;
        client.expect("d000").await;
    }
    assert_eq!(seconds(client.lasts().await), 90);
    assert_eq!(emulator.last_end("dev1"), "nothing came for 90 seconds, one and a half times the keep-alive");
}

/// §1.12: at once by default, later on request, and not at once for one that was let in late.
#[tokio::test(start_paused = true)]
async fn the_token_ends_a_connection() {
    let emulator = Emulator::at(END - 100);
    assert_eq!(lasts(&emulator, 0).await, 100);
    assert_eq!(emulator.last_end("dev1"), "the token expired");
    let lazy = CONFIG.replace("emulator: {", "emulator: {sasEnforceDelaySeconds: 600, ");
    assert_eq!(lasts(&Emulator::with(&lazy, END - 100, None), 0).await, 700);
    assert_eq!(lasts(&Emulator::at(END + 100), 0).await, 200);
}

#[tokio::test(start_paused = true)]
async fn silent_client_is_disconnected() {
    assert_eq!(seconds(Emulator::at(EARLY).client().lasts().await), 30);
}

/// §14.6 row 4, and the controls.
#[tokio::test(start_paused = true)]
async fn a_connection_is_closed_from_outside() {
    let emulator = Emulator::new();
    let dev1 = emulator.state.hubs.find(HUB).unwrap().device("dev1").unwrap();
    let mut client = emulator.dev1().await;
    assert!(dev1.close(CloseOrder::Requested));
    assert_eq!(seconds(client.lasts().await), 0);
    assert_eq!(emulator.last_end("dev1"), "requested through the controls");
    let mut client = emulator.client();
    client.send(&device("dev1").bytes()).await;
    client.expect("20020100").await;
    dev1.set_enabled(false);
    client.closed().await;
    assert_eq!(emulator.refusal(&device("dev1").bytes()).await, "20020005");
}
