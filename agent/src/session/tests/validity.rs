//! Certificates outside of their validity period.

use lanyard_handoff::status::ConnectionReason;

use crate::session::tests::rig::{Rig, Settings};
use crate::session::tests::script::{accepts, fails};

fn with_credentials(credentials: &'static str) -> Settings {
    Settings { credentials, ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn expired_certificate_is_never_presented() {
    let rig = Rig::with(with_credentials("X"), [accepts()]);
    assert_eq!(rig.log_until(1000).await, Vec::<String>::new());
    let status = rig.status();
    assert_eq!(status.connection.reason, ConnectionReason::CredentialExpired);
    assert!(status.connection.message.contains("expired at 2001-01-01T00:00:00Z"), "{status:?}");
    assert!(status.connection.message.contains("says 2027-01-15T08:"), "{status:?}");
    rig.set_credentials("Z");
    assert_eq!(rig.log_until(1001).await, ["1000.001 hub -: accepted"]);
}

#[tokio::test(start_paused = true)]
async fn expired_certificate_yields_to_the_previous_credential() {
    let rig = Rig::with(with_credentials("XB"), [accepts()]);
    assert_eq!(rig.log_until(2879).await, ["0 hub B: accepted"]);
    let refused = rig.status().credential.unwrap().refused.unwrap();
    assert!(refused.message.contains("expired at 2001"), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn early_certificate_is_used_when_it_becomes_valid() {
    let rig = Rig::with(with_credentials("YB"), std::array::from_fn::<_, 30, _>(|_| accepts()));
    let log = rig.log_until(60_000).await;
    let logins: Vec<&String> = log.iter().filter(|line| line.ends_with("accepted")).collect();
    let (last, before) = logins.split_last().unwrap();
    // The 15 and a half hours, and the second that the begin may be rounded by.
    assert_eq!(*last, "55801 hub -: accepted");
    assert!(before.iter().all(|line| line.contains("hub B")), "{before:?}");
    // Its tokens were renewed all the time, and nothing else.
    assert_eq!(before.len(), 1 + 55_801 / 2880);
}

#[tokio::test(start_paused = true)]
async fn early_certificate_is_tried_without_another_credential() {
    let rig = Rig::with(with_credentials("Y"), [accepts()]);
    assert_eq!(rig.log_until(1).await, ["0 hub -: accepted"]);
}

#[tokio::test(start_paused = true)]
async fn refused_early_certificate_is_tried_when_it_becomes_valid() {
    let refused = |_| fails(ConnectionReason::Unauthorized);
    let rig = Rig::with(with_credentials("Y"), std::array::from_fn::<_, 1200, _>(refused));
    rig.log_until(55_790).await;
    assert_eq!(
        rig.log_until(55_802).await,
        ["55796 hub -: Unauthorized", "55801 hub -: Unauthorized"],
        "the wait of 50 s ends with the validity's beginning"
    );
}

#[tokio::test(start_paused = true)]
async fn certificate_needs_no_renewal() {
    let rig = Rig::with(with_credentials("Z"), [accepts()]);
    assert_eq!(rig.log_until(1_000_000).await, ["0 hub -: accepted"]);
}
