//! DPS and certificates (ref §8.1, §9.1, §9.2).

use rcgen::date_time_ymd;
use serde_json::{Value, json};

use crate::client::{EARLY, Emulator, HUB, K32};
use crate::pki::{Ca, DEV1, Der, Leaf, ca_params, der, leaf_params};
use crate::provisioning::SCOPE;
use crate::registering::{
    assignment, emulator, greeting, group_by_certificate, group_by_name, hub_takes, individual, outcome,
    put_group, upload,
};

/// Expects that DPS answers a registration with "Invalid certificate." (ref §8.3), and that the hub has no such device.
async fn refused(emulator: &Emulator, registration_id: &str, chain: &[Der]) {
    let (status, answer) = outcome(emulator, registration_id, chain).await;
    assert_eq!(
        (status, &answer["errorCode"], &answer["message"]),
        (401, &json!(401_002), &json!("Invalid certificate."))
    );
    assert!(emulator.state.hubs.find(HUB).unwrap().device(registration_id).is_none());
}

/// §9.1, §8.2, §8.6: a verified root; the hub takes the same certificate.
#[tokio::test(start_paused = true)]
async fn a_group_with_a_root_assigns_its_leafs() {
    let root = Ca::root("root");
    let emulator = emulator(&[upload("root", &root, true)], &[group_by_name("plant", "root", None)], &[]);
    let leaf = root.leaf("dev-01");
    let (status, answer) = outcome(&emulator, "dev-01", &[leaf.der()]).await;
    let state = &answer["registrationState"];
    assert_eq!((status, &state["assignedHub"], &state["deviceId"]), (200, &json!(HUB), &json!("dev-01")));
    assert!(state["symmetricKey"].is_null());
    assert_eq!(state["x509"]["enrollmentGroupId"], "plant");
    let info = &state["x509"]["certificateInfo"];
    assert_eq!(
        (&info["subjectName"], &info["issuerName"], &info["version"]),
        (&json!("CN=dev-01"), &json!("CN=root"), &json!(3))
    );
    assert_eq!(info["notAfterUtc"], "2049-01-01T00:00:00.0000000Z");
    assert_eq!(info["sha256Thumbprint"].as_str().unwrap().len(), 64);
    assert!(hub_takes(&emulator, HUB, "dev-01", &[leaf.der()]).await);
    assert!(!hub_takes(&emulator, HUB, "dev-01", &[root.leaf("dev-02").der()]).await);
}

/// §9.1: "full chain to the verified root is needed"; the root itself is optional.
#[tokio::test(start_paused = true)]
async fn group_with_intermediate_needs_chain_to_verified_root() {
    let root = Ca::root("root");
    let plant = root.intermediate("plant");
    let chain = |with: &[&Ca]| {
        let above = with.iter().map(|ca| ca.der());
        std::iter::once(plant.leaf("dev-01").der()).chain(above).collect::<Vec<_>>()
    };
    let groups = [group_by_certificate("plant", &plant)];
    let verified = emulator(&[upload("root", &root, true)], &groups, &[]);
    refused(&verified, "dev-01", &chain(&[])).await;
    for chain in [chain(&[&plant]), chain(&[&plant, &root])] {
        assert_eq!(assignment(&verified, "dev-01", &chain).await.0, "plant");
        assert!(hub_takes(&verified, HUB, "dev-01", &chain).await);
    }
    let unverified = emulator(&[upload("root", &root, false)], &groups, &[]);
    refused(&unverified, "dev-01", &chain(&[&plant, &root])).await;
    let unknown = emulator(&[], &groups, &[]);
    refused(&unknown, "dev-01", &chain(&[&plant, &root])).await;
    let itself = emulator(&[upload("plant", &plant, true)], &groups, &[]);
    assert_eq!(assignment(&itself, "dev-01", &chain(&[])).await.0, "plant");
}

/// §9.1: the usual symptom; §9.2: until proof of possession.
#[tokio::test(start_paused = true)]
async fn certificate_of_an_unenrolled_device_is_invalid() {
    let root = Ca::root("root");
    let line = root.intermediate("plant").intermediate("line");
    let by_root =
        |verified| emulator(&[upload("root", &root, verified)], &[group_by_name("plant", "root", None)], &[]);
    refused(&by_root(true), "dev-01", &[line.leaf("dev-01").der(), line.der()]).await;
    refused(&by_root(true), "dev-01", &[Ca::root("root").leaf("dev-01").der()]).await;
    refused(&by_root(true), "dev-01", &[Leaf::alone("dev-01").der()]).await;
    refused(&by_root(false), "dev-01", &[root.leaf("dev-01").der()]).await;
}

/// §9.3: expired leafs and CAs.
#[tokio::test(start_paused = true)]
async fn expired_certificate_is_reported_as_invalid() {
    let root = Ca::root("root");
    let mut expired = leaf_params("dev-01");
    expired.not_after = date_time_ymd(2023, 2, 1);
    let alone = Leaf::alone_with(&expired);
    let mut plant = ca_params("plant");
    plant.not_after = date_time_ymd(2023, 2, 1);
    let plant = root.intermediate_with(plant);
    let emulator = emulator(
        &[upload("root", &root, true)],
        &[group_by_name("plant", "root", None)],
        &[individual("dev-01", &alone.pem(), None)],
    );
    refused(&emulator, "dev-01", &[root.leaf_with(&expired).der()]).await;
    refused(&emulator, "dev-01", &[alone.der()]).await;
    refused(&emulator, "dev-02", &[plant.leaf("dev-02").der(), plant.der()]).await;
}

/// §8.1: CONNACK 5 without a certificate or with another's, in whatever way it is another's.
#[tokio::test(start_paused = true)]
async fn no_certificate_or_anothers_is_refused_at_connect() {
    let root = Ca::root("root");
    let single = Leaf::alone("dev-03");
    let emulator = emulator(
        &[upload("root", &root, true)],
        &[group_by_name("plant", "root", None)],
        &[individual("dev-04", &single.pem(), None)],
    );
    for chain in [vec![], vec![root.leaf("dev-02").der()], vec![root.leaf("").der()]] {
        assert_eq!(greeting(&emulator, "dev-01", &chain).await, "20020005");
    }
    assert_eq!(greeting(&emulator, "dev-03", &[single.der()]).await, "20020005", "enrolled for dev-04");
    assert_eq!(
        greeting(&emulator, "DEV-01", &[root.leaf("dev-01").der()]).await,
        "20020000",
        "§3.3: without case"
    );
    let stranger = Ca::root("root").leaf("dev-01").der();
    assert_eq!(greeting(&emulator, "dev-01", &[stranger]).await, "20020000", "the registration says it");
}

/// §8.1, appendix E 16: the time at which Azure refuses is not documented, so both are supported.
#[tokio::test(start_paused = true)]
async fn a_certificate_may_be_refused_at_connect_already() {
    let root = Ca::root("root");
    let dps = json!({"idScope": SCOPE, "enrollmentGroups": [group_by_name("plant", "root", None)]});
    let config = json!({
        "hubs": [{"hostName": HUB}],
        "certificates": [upload("root", &root, true)],
        "dps": [dps],
        "emulator": {"refuseCertificatesAtConnect": true},
    });
    let emulator = Emulator::with(&config.to_string(), EARLY, None);
    assert_eq!(greeting(&emulator, "dev-01", &[Leaf::alone("dev-01").der()]).await, "20020005");
    assert_eq!(greeting(&emulator, "dev-01", &[root.leaf("dev-01").der()]).await, "20020000");
}

/// §9.1: "walk leaf → issuer → …": individual first, then the closest group; no fall-through from a disabled one.
#[tokio::test(start_paused = true)]
async fn most_specific_enrollment_is_used() {
    let root = Ca::root("root");
    let plant = root.intermediate("plant");
    let leaf = plant.leaf("dev-01");
    let chain = [leaf.der(), plant.der()];
    let far = || group_by_name("far", "root", None);
    let near = |status: &str| {
        let mut near = group_by_certificate("near", &plant);
        near["provisioningStatus"] = json!(status);
        near
    };
    let own = |status: &str| {
        let mut own = individual("dev-01", &leaf.pem(), None);
        own["provisioningStatus"] = json!(status);
        own["deviceId"] = json!("press");
        own
    };
    let uploads = [upload("root", &root, true)];
    let emulator_with = |groups: &[Value], individuals: &[Value]| emulator(&uploads, groups, individuals);
    assert_eq!(assignment(&emulator_with(&[far()], &[]), "dev-01", &chain).await.0, "far");
    let both = [far(), near("enabled")];
    assert_eq!(assignment(&emulator_with(&both, &[]), "dev-01", &chain).await.0, "near");
    let all = emulator_with(&both, &[own("enabled")]);
    assert_eq!(assignment(&all, "dev-01", &chain).await, (json!(null), json!(HUB), json!("press")));
    assert_eq!(assignment(&all, "dev-02", &[plant.leaf("dev-02").der(), plant.der()]).await.0, "near");
    for disabled in [emulator_with(&[far(), near("disabled")], &[]), emulator_with(&both, &[own("disabled")])]
    {
        let (status, answer) = outcome(&disabled, "dev-01", &chain).await;
        assert_eq!(
            (status, &answer["status"]),
            (200, &json!("disabled")),
            "distinguished from a wrong certificate"
        );
        assert_eq!(answer["registrationState"], json!({"registrationId": "dev-01", "status": "disabled"}));
    }
}

/// §9.1, §9.3: its own certificate, self-signed or not, in either slot, needs no CA.
#[tokio::test(start_paused = true)]
async fn an_individual_is_known_by_its_certificates() {
    let (primary, secondary) = (Leaf::alone("dev1"), Leaf::alone("dev1"));
    for (first, second) in [(DEV1.to_owned(), Some(primary.pem())), (primary.pem(), Some(DEV1.to_owned()))] {
        let emulator = emulator(&[], &[], &[individual("dev1", &first, second.as_deref())]);
        for own in [der(DEV1), primary.der()] {
            assert_eq!(assignment(&emulator, "dev1", std::slice::from_ref(&own)).await.2, "dev1");
            assert!(hub_takes(&emulator, HUB, "dev1", &[own]).await);
        }
        refused_again(&emulator, &secondary).await;
    }
}

async fn refused_again(emulator: &Emulator, stranger: &Leaf) {
    let (status, answer) = outcome(emulator, "dev1", &[stranger.der()]).await;
    assert_eq!((status, &answer["errorCode"]), (401, &json!(401_002)));
}

/// §9.3: "primary and secondary certificate slots; either validates".
#[tokio::test(start_paused = true)]
async fn a_group_takes_both_of_its_cas() {
    let (old, new) = (Ca::root("old"), Ca::root("new"));
    let uploads = [upload("old", &old, true), upload("new", &new, true)];
    let emulator = emulator(&uploads, &[group_by_name("plant", "old", Some("new"))], &[]);
    for (id, ca) in [("dev-01", &old), ("dev-02", &new)] {
        assert_eq!(assignment(&emulator, id, &[ca.leaf(id).der()]).await.0, "plant");
    }
    let references = json!({"caReferences": {"primary": "new"}});
    put_group(&emulator, "plant", &json!({"attestation": {"type": "x509", "x509": references}}));
    assert_eq!(outcome(&emulator, "dev-01", &[old.leaf("dev-01").der()]).await.0, 401);
    assert_eq!(assignment(&emulator, "dev-01", &[new.leaf("dev-01").der()]).await.0, "plant");
}

/// A token does not help where a certificate is enrolled; keys and certificates live side by side.
#[tokio::test(start_paused = true)]
async fn keys_and_certificates_live_side_by_side() {
    let root = Ca::root("root");
    let by_key = json!({"enrollmentGroupId": "keys", "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": K32}}});
    let emulator = emulator(
        &[upload("root", &root, true)],
        &[by_key, group_by_name("certificates", "root", None)],
        &[individual("dev1", DEV1, None)],
    );
    assert_eq!(assignment(&emulator, "dev-01", &[root.leaf("dev-01").der()]).await.0, "certificates");
    let key = crate::client::key(K32);
    for (id, status) in [("dev-02", 202), ("dev1", 401)] {
        let derived = key.derive(id).to_base64().to_string();
        let token = crate::client::token(&derived, &format!("{SCOPE}/registrations/{id}"));
        let user = format!("{SCOPE}/registrations/{id}/api-version=2019-03-31");
        let mut client = emulator.client_with(&[der(DEV1)]);
        client.send(&crate::bytes::Connect::new(id, &user, &token).bytes()).await;
        client.expect("20020000").await;
        client.send(&crate::bytes::subscribe(1, &[("$dps/registrations/res/#", 1)])).await;
        client.expect("9003000101").await;
        let body = json!({"registrationId": id}).to_string();
        let (topic, _) = crate::provisioning::register(&mut client, "r", &body).await;
        assert!(topic.starts_with(&format!("$dps/registrations/res/{status}/")), "{id}: {topic}");
    }
}
