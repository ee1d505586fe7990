//! Random sequences of changes to a device's credentials, good and bad: events flow on after every one of them, and all
//! of them arrive.

use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::agent::{Agent, Setup};
use lanyard_tests::emulator::Emulator;
use serde_json::json;

use crate::certificate_maker;
use crate::controls;
use crate::fixture::{
    PRIMARY, RAMP, SECONDARY, assert_streams, derived, document, emulator, fingerprint, values,
    wait_for_accepted, wait_for_ramp, wait_for_ramp_of,
};
use crate::x509_hub::{hub, setup, thumbprints};

const STEPS: usize = 15;

/// Numbers that look like chance, and are the same for the same seed, which a failing test prints.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(1);
        println!("seed {seed}");
        Self(seed | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Cuts the connection, which the agent may be changing at this moment. Three times at most: it waits longer after each.
fn cut(emulator: &Emulator, id: &str, cuts: &mut u32) {
    if *cuts < 3 && emulator.disconnect(id) {
        *cuts += 1;
    }
}

fn assert_goes_on(emulator: &Emulator, id: &str) {
    let so_far = values(&emulator.events(Some(id)), "Ramp").last().copied().unwrap_or(0);
    wait_for_ramp_of(emulator, id, so_far + 5);
}

fn assert_account_and_one_connection(emulator: &Emulator, agent: &Agent, id: &str) {
    assert_streams(emulator, agent, id);
    let log = agent.log();
    assert!(!log.contains("PRIVATE KEY") && !log.contains("SharedAccessSignature"), "{log}");
}

#[test]
fn certificate_changes_do_not_interrupt_a_working_one() {
    let kind = &rcgen::PKCS_ECDSA_P256_SHA256;
    let [one, two, stranger] = [(); 3].map(|()| certificate_maker::self_signed("press-17"));
    let expired = certificate_maker::self_signed_with("press-17", kind, -7200..-3600);
    let emulator = hub(&thumbprints(&one, Some(&two)), &[]);
    let agent =
        setup(&emulator, &one).arguments(&["--credential-retry", "1s", "--log-level", "debug"]).start();
    wait_for_ramp(&emulator, 5);
    let mut chance = Chance::new();
    let mut cuts = 0;
    for _ in 0..STEPS {
        let step = chance.below(9);
        println!("step {step}");
        let give =
            |leaf: &certificate_maker::Leaf| agent.setup.set_certificate("press-17", &leaf.chain, &leaf.key);
        match step {
            0 => give(&one),
            1 => give(&two),
            2 => give(&stranger),
            3 => give(&expired),
            4 => agent.setup.write("credentials/press-17/tls.crt", &two.chain),
            5 => agent.setup.write("credentials/press-17/tls.key", ""),
            6 => agent.setup.set_previous_certificate("press-17", &one.chain, &one.key),
            7 => agent.setup.set_previous_certificate("press-17", &stranger.chain, &stranger.key),
            _ => cut(&emulator, "press-17", &mut cuts),
        }
        assert_goes_on(&emulator, "press-17");
    }
    agent.setup.set_certificate("press-17", &two.chain, &two.key);
    wait_for_accepted(&agent, "press-17", &two.fingerprint);
    assert_account_and_one_connection(&emulator, &agent, "press-17");
}

#[test]
fn key_changes_do_not_interrupt_a_working_one() {
    let emulator = emulator();
    let device = format!(
        "{{name: dev-01, deviceId: dev-01, dps: {{endpoint: 'localhost:{}', idScope: 0ne00ABCDEF}}, \
         sources: [{{name: sim, simulator: {{}}}}], tags: [{RAMP}], telemetry: {{interval: 250ms}}}}",
        emulator.mqtt.port()
    );
    let setup = Setup::new(&document(&[device])).key("dev-01", &derived("dev-01"));
    let setup = setup.ca("dev-01", &emulator.ca()).arguments(&["--credential-retry", "30s"]);
    let agent = setup.start();
    wait_for_ramp_of(&emulator, "dev-01", 5);
    let group = |status: &str| {
        let change = json!({"enrollmentGroupId": "plant-a", "provisioningStatus": status});
        controls::put(&emulator, "/api/enrollmentGroups/plant-a", &change);
    };
    let secondary = SymmetricKey::from_base64(SECONDARY).unwrap().derive("dev-01").to_base64().to_string();
    let mut chance = Chance::new();
    let mut cuts = 0;
    for _ in 0..STEPS {
        let step = chance.below(8);
        println!("step {step}");
        match step {
            0 => agent.setup.set_key("dev-01", &derived("dev-01")),
            1 => agent.setup.set_key("dev-01", &secondary),
            2 => agent.setup.set_key("dev-01", PRIMARY),
            3 => agent.setup.set_key("dev-01", "half-a-key!"),
            4 => group("disabled"),
            5 => group("enabled"),
            6 => cut(&emulator, "dev-01", &mut cuts),
            _ => agent.setup.write("credentials/dev-01/previousSharedAccessKey", &derived("dev-01")),
        }
        assert_goes_on(&emulator, "dev-01");
    }
    group("enabled");
    agent.setup.set_key("dev-01", &secondary);
    wait_for_accepted(&agent, "dev-01", &fingerprint(&secondary));
    assert_account_and_one_connection(&emulator, &agent, "dev-01");
    assert_eq!(emulator.device("dev-01").unwrap()["refusals"], 0, "the hub never saw a wrong key");
}
