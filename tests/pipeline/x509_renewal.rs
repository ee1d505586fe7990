//! Certificates are renewed while devices stream: nothing is lost or out of order, and what works is kept until the new
//! one works too.

use serde_json::json;

use crate::certificate_maker;
use crate::controls;
use crate::fixture::{
    assert_streams, credential, messages, wait_for_accepted, wait_for_ramp, wait_for_refused,
};
use crate::x509_hub::{hub, setup, thumbprints};

#[test]
fn hub_that_knows_both_keys_never_refuses() {
    let leafs: Vec<_> = (0..4).map(|_| certificate_maker::self_signed("press-17")).collect();
    let emulator = hub(&thumbprints(&leafs[0], Some(&leafs[1])), &[]);
    let agent = setup(&emulator, &leafs[0]).start();
    wait_for_ramp(&emulator, 10);
    for pair in leafs.windows(2) {
        let (old, new) = (&pair[0], &pair[1]);
        controls::put(
            &emulator,
            "/api/hubs/localhost/devices/press-17",
            &json!({"deviceId": "press-17", "authentication": thumbprints(new, Some(old))}),
        );
        agent.setup.set_previous_certificate("press-17", &old.chain, &old.key);
        agent.setup.set_certificate("press-17", &new.chain, &new.key);
        wait_for_accepted(&agent, "press-17", &new.fingerprint);
        assert_streams(&emulator, &agent, "press-17");
    }
    let device = emulator.device("press-17").unwrap();
    assert_eq!((device["connections"].as_u64(), device["refusals"].as_u64()), (Some(4), Some(0)));
    let events = emulator.events(Some("press-17"));
    assert_eq!(messages(&events).len(), events.len(), "what was under way was awaited");
}

#[test]
fn previous_certificate_serves_until_the_hub_knows_the_new_one() {
    let (old, new) = (certificate_maker::self_signed("press-17"), certificate_maker::self_signed("press-17"));
    let emulator = hub(&thumbprints(&old, None), &[]);
    let agent = setup(&emulator, &old).arguments(&["--credential-retry", "3s"]).start();
    wait_for_ramp(&emulator, 10);
    agent.setup.set_previous_certificate("press-17", &old.chain, &old.key);
    agent.setup.set_certificate("press-17", &new.chain, &new.key);
    let message = wait_for_refused(&agent, "press-17", &new.fingerprint);
    assert!(message.contains(new.fingerprint.as_str()), "which thumbprint to register: {message}");
    let device = agent.wait_for_reason("press-17", "Connected");
    assert_eq!(credential(&device).accepted, Some(old.fingerprint.clone()));
    assert_streams(&emulator, &agent, "press-17");
    controls::put(
        &emulator,
        "/api/hubs/localhost/devices/press-17",
        &json!({"deviceId": "press-17", "authentication": thumbprints(&old, Some(&new))}),
    );
    wait_for_accepted(&agent, "press-17", &new.fingerprint);
    assert_streams(&emulator, &agent, "press-17");
}

/// A Secret as the operator leaves it in the middle of a renewal.
#[test]
fn agent_started_during_rollover_uses_the_valid_key() {
    let (old, new) = (certificate_maker::self_signed("press-17"), certificate_maker::self_signed("press-17"));
    let emulator = hub(&thumbprints(&old, None), &[]);
    let setup = setup(&emulator, &new);
    setup.set_previous_certificate("press-17", &old.chain, &old.key);
    let mut agent = setup.start();
    wait_for_ramp(&emulator, 10);
    wait_for_refused(&agent, "press-17", &new.fingerprint);
    assert_streams(&emulator, &agent, "press-17");
    let refusals = || emulator.device("press-17").unwrap()["refusals"].as_u64().unwrap_or(0);
    assert_eq!(refusals(), 1, "one try, and then the one before");
    // The newest of a Secret may be broken altogether.
    agent.setup.write("credentials/press-17/tls.key", "");
    agent.restart();
    agent.wait_for_reason("press-17", "Connected");
    let device = agent.wait_for("tells of the file", "press-17", |device| {
        credential(device).unreadable.is_some_and(|problem| problem.contains("tls.key"))
    });
    assert_eq!(credential(&device).accepted, Some(old.fingerprint));
    assert_eq!(refusals(), 1);
}

/// The operator takes the certificate before out of the Secret when the new one is proven, and CAs come and go.
#[test]
fn unrelated_files_cause_no_reconnect() {
    let (old, new) = (certificate_maker::self_signed("press-17"), certificate_maker::self_signed("press-17"));
    let emulator = hub(&thumbprints(&old, Some(&new)), &[]);
    let setup = setup(&emulator, &new);
    setup.set_previous_certificate("press-17", &old.chain, &old.key);
    let agent = setup.start();
    wait_for_ramp(&emulator, 10);
    agent.setup.remove("credentials/press-17/previous.crt");
    agent.setup.remove("credentials/press-17/previous.key");
    let other = crate::certificate_maker::Ca::root("Another root");
    agent.setup.write("credentials/press-17/ca.crt", &format!("{}{}", other.pem, emulator.ca()));
    assert_streams(&emulator, &agent, "press-17");
    // Proof that all of it was read: the unusable file is reported, and not used.
    agent.setup.write("credentials/press-17/ca.crt", "no CA at all");
    agent.wait_for("tells of the file", "press-17", |device| {
        credential(device).unreadable.is_some_and(|problem| problem.contains("ca.crt"))
    });
    assert_streams(&emulator, &agent, "press-17");
    assert_eq!(emulator.device("press-17").unwrap()["connections"], 1);
    // And a cut connection comes back with what worked.
    assert!(emulator.disconnect("press-17"));
    assert_streams(&emulator, &agent, "press-17");
}
