//! Renewal of tokens.

use lanyard_handoff::status::ConnectionReason;

use crate::session::tests::rig::{Rig, Settings};
use crate::session::tests::script::{accepts, accepts_slowly, fails};

#[tokio::test(start_paused = true)]
async fn token_renews_after_four_fifths_of_its_lifetime() {
    let rig = Rig::new([accepts(), accepts(), accepts()]);
    assert_eq!(
        rig.log_until(6000).await,
        [
            "0 hub A: accepted",
            "2880 hub: disconnected",
            "2880 hub A: accepted",
            "5760 hub: disconnected",
            "5760 hub A: accepted"
        ]
    );
    assert_eq!(rig.reason(), ConnectionReason::Connected);
}

#[tokio::test(start_paused = true)]
async fn chance_moves_the_renewal_to_nine_tenths() {
    let settings = Settings { chance: || 1.0, ..Settings::default() };
    let rig = Rig::with(settings, [accepts(), accepts()]);
    assert_eq!(
        rig.log_until(4000).await,
        ["0 hub A: accepted", "3240 hub: disconnected", "3240 hub A: accepted"]
    );
}

#[tokio::test(start_paused = true)]
async fn renewal_waits_for_messages_in_flight() {
    let rig = Rig::new([accepts_slowly(4), accepts()]);
    rig.until(2879).await;
    rig.append();
    rig.until(2881).await;
    rig.append();
    assert_eq!(
        rig.log_until(2900).await,
        [
            "0 hub A: accepted",
            "2879.001 hub: message 1",
            "2883.001 hub: disconnected",
            "2883.001 hub A: accepted",
            "2883.001 hub: message 2"
        ]
    );
    assert!(rig.is_delivered());
}

#[tokio::test(start_paused = true)]
async fn failed_renewal_backs_off() {
    let unreachable = || fails(ConnectionReason::HostUnreachable);
    let rig = Rig::new([accepts(), unreachable(), unreachable(), accepts()]);
    assert_eq!(
        rig.log_until(2880).await,
        ["0 hub A: accepted", "2880 hub: disconnected", "2880 hub A: HostUnreachable"]
    );
    assert_eq!(rig.reason(), ConnectionReason::HostUnreachable);
    assert_eq!(rig.log_until(3000).await, ["2881 hub A: HostUnreachable", "2883 hub A: accepted"]);
}
