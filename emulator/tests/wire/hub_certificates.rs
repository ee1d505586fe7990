//! A hub and certificates (ref §1.10, §9.5, §9.6, §14.6 rows 18 and 19).

use lanyard_emulator::controls::change::{Action, Target};
use lanyard_emulator::x509::thumbprint::Thumbprint;
use rcgen::{
    BasicConstraints, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, date_time_ymd,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::bytes::{ACCEPTED, CONNECT_DEV1_X509, Connect, hex};
use crate::client::{EARLY, Emulator, HUB, K32};
use crate::pki::{Ca, DEV1, Der, Leaf, V1, V1_RSA, ca_params, der, leaf_params};

const REFUSED: &str = "20020005";
const SHA1: &str = "8E15FF30AA2B351DDB56FCDCA4496796B3591A2A";
const SHA256: &str = "B8413FDBACD7BB4937D3D0F6E81CDCF3C8EFE9C675AE77E9213741F5B7C1A386";
const OTHER: &str = "0000000000000000000000000000000000000000";

/// Creates an emulator whose `dev1` has this `authentication`, with uploaded CAs: name, certificate, verified.
fn emulator(authentication: &Value, authorities: &[(&str, &Ca, bool)]) -> Emulator {
    let certificates: Vec<_> = authorities
        .iter()
        .map(|(name, ca, verified)| {
            json!({"name": name, "properties": {"certificate": ca.pem(), "isVerified": verified}})
        })
        .collect();
    let devices = json!([{"deviceId": "dev1", "authentication": authentication}]);
    let config = json!({"hubs": [{"hostName": HUB, "devices": devices}], "certificates": certificates});
    Emulator::with(&config.to_string(), EARLY, None)
}

fn by_thumbprint(primary: &str, secondary: Option<&str>) -> Emulator {
    let thumbprints = json!({"primaryThumbprint": primary, "secondaryThumbprint": secondary});
    emulator(&json!({"type": "selfSigned", "x509Thumbprint": thumbprints}), &[])
}

fn by_authority(authorities: &[(&str, &Ca, bool)]) -> Emulator {
    emulator(&json!({"type": "certificateAuthority"}), authorities)
}

/// Returns the answer to the published X.509 CONNECT of `dev1` for a client that presents `chain`.
async fn answer(emulator: &Emulator, chain: &[Der]) -> String {
    let mut client = emulator.client_with(chain);
    client.send(&hex(CONNECT_DEV1_X509)).await;
    client.send(&hex("e000")).await;
    // Whether there is a session from before makes no difference here.
    client.rest().await.replace("20020100", ACCEPTED)
}

/// Returns the reason for the last refused CONNECT of `dev1`.
fn reason(emulator: &Emulator) -> String {
    let device = emulator.state.hubs.find(HUB).unwrap().device("dev1").unwrap();
    device.view().last_refusal.unwrap_or_default()
}

/// §9.6, §14.6 row 18: either hash, in any case, in either slot; the chain is not validated.
#[tokio::test(start_paused = true)]
async fn the_published_certificate_is_known_by_its_thumbprints() {
    for thumbprint in [SHA1.to_owned(), SHA1.to_lowercase(), SHA256.to_owned(), SHA256.to_lowercase()] {
        let emulator = by_thumbprint(&thumbprint, None);
        assert_eq!(answer(&emulator, &[der(DEV1)]).await, ACCEPTED, "{thumbprint}");
    }
    assert_eq!(answer(&by_thumbprint(OTHER, Some(SHA1)), &[der(DEV1)]).await, ACCEPTED);
    let stranger = Ca::root("unknown").der();
    assert_eq!(answer(&by_thumbprint(SHA1, None), &[der(DEV1), stranger]).await, ACCEPTED);
}

/// §9.5, §14.6 row 18: what openssl makes without an extension file.
#[tokio::test(start_paused = true)]
async fn a_certificate_of_version_1_counts() {
    for (pem, sha1) in [
        (V1, "049a174a83bc6566849c4ed7adf6f5ef2ae9ef4b"),
        (V1_RSA, "02681442678096133b09d6571dc36c89ed97e3d1"),
    ] {
        assert_eq!(answer(&by_thumbprint(sha1, None), &[der(pem)]).await, ACCEPTED);
    }
}

/// §9.5: the text, in Azure's words; §1.10: the code.
#[tokio::test(start_paused = true)]
async fn another_thumbprint_is_refused() {
    let emulator = by_thumbprint(OTHER, None);
    assert_eq!(answer(&emulator, &[der(DEV1)]).await, REFUSED);
    assert_eq!(
        reason(&emulator),
        format!(
            "Thumbprint does not match configuration: Thumbprint: SHA1Hash={SHA1}, SHA2Hash={SHA256}; \
                Configuration: PrimaryThumbprint={OTHER}, SecondaryThumbprint="
        )
    );
}

/// §9.5: tutorials set it, but no documentation says that it is enforced.
#[tokio::test(start_paused = true)]
async fn the_common_name_makes_no_difference_to_a_thumbprint() {
    let leaf = Leaf::alone("another-name");
    let thumbprint = Thumbprint::sha256(&leaf.der()).to_string();
    assert_eq!(answer(&by_thumbprint(&thumbprint, None), &[leaf.der()]).await, ACCEPTED);
}

/// §9.3: "Expired certs are refused."
#[tokio::test(start_paused = true)]
async fn an_expired_certificate_is_refused_whatever_its_thumbprint() {
    for (from, to, why) in [(2020, 2023, "expired at 2023-01-01T00:00:00Z"), (2030, 2040, "valid from 2030")]
    {
        let mut params = leaf_params("dev1");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let leaf = Leaf::alone_with(&params);
        let thumbprint = Thumbprint::sha1(&leaf.der()).to_string();
        let emulator = by_thumbprint(&thumbprint, None);
        assert_eq!(answer(&emulator, &[leaf.der()]).await, REFUSED);
        assert!(reason(&emulator).contains(why), "{}", reason(&emulator));
    }
}

/// §1.2: no password, or an empty one; a token does not count for a device with a certificate, nor the other way around.
#[tokio::test(start_paused = true)]
async fn presented_certificate_must_be_registered() {
    let emulator = by_thumbprint(SHA1, None);
    assert_eq!(answer(&emulator, &[]).await, REFUSED);
    assert!(reason(&emulator).starts_with("no certificate was presented"), "{}", reason(&emulator));
    let user = format!("{HUB}/dev1/?api-version=2021-04-12");
    let mut empty = emulator.client_with(&[der(DEV1)]);
    empty.send(&Connect::new("dev1", &user, "").bytes()).await;
    empty.expect(ACCEPTED).await;
    let mut token = emulator.client_with(&[der(DEV1)]);
    token.send(&crate::client::device("dev1").bytes()).await;
    assert_eq!(token.rest().await, REFUSED);
    assert!(reason(&emulator).contains("authenticates by certificate"), "{}", reason(&emulator));

    let by_key = emulator_by_key();
    assert_eq!(answer(&by_key, &[der(DEV1)]).await, REFUSED);
    assert!(reason(&by_key).contains("authenticates by symmetric key"), "{}", reason(&by_key));
    let mut both = by_key.client_with(&[der(DEV1)]);
    both.send(&crate::client::device("dev1").bytes()).await;
    both.expect(ACCEPTED).await;
}

fn emulator_by_key() -> Emulator {
    emulator(&json!({"type": "sas", "symmetricKey": {"primaryKey": K32}}), &[])
}

/// §9.5: up to a verified CA, through what the device presents; the root itself is optional.
#[tokio::test(start_paused = true)]
async fn verified_ca_is_trusted_for_its_leafs() {
    let root = Ca::root("root");
    let plant = root.intermediate("plant");
    let line = plant.intermediate("line");
    let emulator = by_authority(&[("root", &root, true)]);
    assert_eq!(answer(&emulator, &[root.leaf("dev1").der()]).await, ACCEPTED);
    let leaf = line.leaf("dev1").der();
    for chain in [
        vec![leaf.clone(), line.der(), plant.der()],
        vec![leaf.clone(), line.der(), plant.der(), root.der()],
        vec![leaf.clone(), root.der(), plant.der(), line.der()],
    ] {
        assert_eq!(answer(&emulator, &chain).await, ACCEPTED);
    }
    let by_intermediate = by_authority(&[("line", &line, true)]);
    assert_eq!(answer(&by_intermediate, &[leaf]).await, ACCEPTED);
}

/// §9.1: the usual symptom.
#[tokio::test(start_paused = true)]
async fn a_missing_intermediate_is_refused() {
    let root = Ca::root("root");
    let plant = root.intermediate("plant");
    let leaf = plant.intermediate("line").leaf("dev1").der();
    let emulator = by_authority(&[("root", &root, true)]);
    for chain in [vec![leaf.clone()], vec![leaf.clone(), plant.der()], vec![leaf, root.der()]] {
        assert_eq!(answer(&emulator, &chain).await, REFUSED);
        assert!(
            reason(&emulator).contains("the issuer \"CN=line\" is neither among"),
            "{}",
            reason(&emulator)
        );
    }
}

/// §9.2: until proof of possession.
#[tokio::test(start_paused = true)]
async fn an_unverified_ca_does_not_count() {
    let root = Ca::root("root");
    let emulator = by_authority(&[("root", &root, false)]);
    let chain = [root.leaf("dev1").der()];
    assert_eq!(answer(&emulator, &chain).await, REFUSED);
    assert_eq!(reason(&emulator), "the CA \"CN=root\" is uploaded but not verified");
    let target = Target::Certificate { name: "root".into() };
    emulator.change(target.clone(), Action::Code("C0DE".into())).unwrap();
    let proof = json!({"certificate": root.leaf("C0DE").pem()}).to_string();
    emulator.change(target, Action::Verify(Zeroizing::new(proof))).unwrap();
    assert_eq!(answer(&emulator, &chain).await, ACCEPTED);
}

/// §9.5, §14.6 row 19: exactly the device id (§3.3: case counts at a hub).
#[tokio::test(start_paused = true)]
async fn the_common_name_must_be_the_device_id() {
    let root = Ca::root("root");
    let emulator = by_authority(&[("root", &root, true)]);
    for name in ["dev2", "DEV1", "dev1 ", ""] {
        assert_eq!(answer(&emulator, &[root.leaf(name).der()]).await, REFUSED, "{name:?}");
        assert!(reason(&emulator).starts_with("the certificate's common name is"), "{}", reason(&emulator));
    }
    let mut nameless = leaf_params("dev1");
    nameless.distinguished_name = DistinguishedName::new();
    assert_eq!(answer(&emulator, &[root.leaf_with(&nameless).der()]).await, REFUSED);
}

/// Chains without a valid CA: another CA of the same name, a leaf as issuer, a CA without the right to sign, too many
/// CAs, an expired CA.
#[tokio::test(start_paused = true)]
async fn a_chain_that_is_not_right_is_refused() {
    let root = Ca::root("root");
    let emulator = by_authority(&[("root", &root, true)]);
    let stranger = Ca::root("root");
    let no_ca = root.intermediate_with(leaf_params("plant"));
    let mut wrong_usage = ca_params("plant");
    wrong_usage.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let wrong_usage = root.intermediate_with(wrong_usage);
    let mut expired = ca_params("plant");
    expired.not_after = date_time_ymd(2023, 2, 1);
    let expired = root.intermediate_with(expired);
    let mut server = leaf_params("dev1");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for (chain, why) in [
        (vec![stranger.leaf("dev1").der()], "the issuer \"CN=root\" is neither"),
        (vec![stranger.leaf("dev1").der(), stranger.der()], "its root \"CN=root\" was never uploaded"),
        (vec![Leaf::alone("dev1").der()], "its root \"CN=dev1\" was never uploaded"),
        (vec![no_ca.leaf("dev1").der(), no_ca.der()], "\"CN=plant\" signed another one but is not a CA"),
        (vec![wrong_usage.leaf("dev1").der(), wrong_usage.der()], "the key usage of the CA \"CN=plant\""),
        (vec![expired.leaf("dev1").der(), expired.der()], "\"CN=plant\" expired"),
        (vec![root.leaf_with(&server).der()], "is not for client authentication"),
    ] {
        assert_eq!(answer(&emulator, &chain).await, REFUSED, "{why}");
        assert!(reason(&emulator).contains(why), "{why}: {}", reason(&emulator));
    }
}

/// §14.6 row 19 names the CN only; X.509 itself limits how many CAs may be below another.
#[tokio::test(start_paused = true)]
async fn a_path_length_is_a_limit() {
    let mut params = ca_params("root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    let root = Ca::root_with(params);
    let plant = root.intermediate("plant");
    let line = plant.intermediate("line");
    let emulator = by_authority(&[("root", &root, true)]);
    assert_eq!(answer(&emulator, &[plant.leaf("dev1").der(), plant.der()]).await, ACCEPTED);
    assert_eq!(answer(&emulator, &[line.leaf("dev1").der(), line.der(), plant.der()]).await, REFUSED);
    assert!(
        reason(&emulator).contains("\"CN=root\" allows 1 CAs below it, and there are 2"),
        "{}",
        reason(&emulator)
    );
}

/// A CA that was reissued with the same name and another key: each signs for its own leaves.
#[tokio::test(start_paused = true)]
async fn two_cas_may_have_the_same_name() {
    let (old, new) = (Ca::root("root"), Ca::root("root"));
    let emulator = by_authority(&[("old", &old, true), ("new", &new, true)]);
    for ca in [&old, &new] {
        assert_eq!(answer(&emulator, &[ca.leaf("dev1").der()]).await, ACCEPTED);
    }
}

/// §1.10, §14.6 row 4; thumbprints change while the device is connected, and its connection stays.
#[tokio::test(start_paused = true)]
async fn a_registration_changes_while_its_device_is_connected() {
    let emulator = by_thumbprint(SHA1, None);
    let target = || Target::Device { hub: HUB.into(), device_id: "dev1".into() };
    let put =
        |body: &Value| emulator.change(target(), Action::Put(Zeroizing::new(body.to_string()))).unwrap();
    let mut client = emulator.client_with(&[der(DEV1)]);
    client.send(&hex(CONNECT_DEV1_X509)).await;
    client.expect(ACCEPTED).await;
    put(&json!({"authentication": {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": OTHER}}}));
    client.send(&hex("c000")).await;
    client.expect("d000").await;
    assert_eq!(answer(&emulator, &[der(DEV1)]).await, REFUSED);
    put(&json!({"status": "disabled"}));
    client.closed().await;
    put(&json!({"authentication": {"type": "selfSigned", "x509Thumbprint": {"secondaryThumbprint": SHA1}}}));
    assert_eq!(answer(&emulator, &[der(DEV1)]).await, REFUSED);
    assert_eq!(reason(&emulator), "device \"dev1\" is disabled");
    put(&json!({"status": "enabled"}));
    assert_eq!(answer(&emulator, &[der(DEV1)]).await, ACCEPTED);
    emulator.change(target(), Action::Delete).unwrap();
    assert_eq!(answer(&emulator, &[der(DEV1)]).await, REFUSED);
}

/// §1.9, §1.12: a takeover is counted as with tokens; no token means no end of one.
#[tokio::test(start_paused = true)]
async fn a_connection_by_certificate_has_no_end_of_its_own() {
    let emulator = by_thumbprint(SHA1, None);
    let mut first = emulator.client_with(&[der(DEV1)]);
    first.send(&hex(CONNECT_DEV1_X509)).await;
    first.expect(ACCEPTED).await;
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_secs(300)).await;
        first.send(&hex("c000")).await;
        first.expect("d000").await;
    }
    let mut second = emulator.client_with(&[der(DEV1)]);
    second.send(&hex(CONNECT_DEV1_X509)).await;
    second.expect("20020100").await;
    first.closed().await;
    let device = emulator.state.hubs.find(HUB).unwrap().device("dev1").unwrap();
    assert_eq!((device.counters.connections(), device.counters.takeovers()), (2, 1));
}
