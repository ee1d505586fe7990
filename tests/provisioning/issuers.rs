//! Groups whose CA signs the devices' certificates: chains, wrong CAs, moving to another CA, and proof of possession.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use lanyard_crds::status::RolloverStatus;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::{Namespace, secret_text};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyUsagePurpose};
use serde_json::json;

use crate::authority::{Authority, belong_together, lets_in, openssl, tls_secret, usual};
use crate::certificates::{credentials, renewed, secret_of};
use crate::operator::{Operator, condition, group_is, issued};
use crate::yaml::member;

/// Returns the manifest of a group `plant` whose CA is in Secret `ca`; `more` are further fields of `attestation.x509`,
/// `spec` of the group.
fn group(more: &str, spec: &str) -> String {
    format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {{name: plant}}
spec:
  dps: {{idScope: 0ne00ABCDEF, endpoint: localhost}}
  attestation: {{x509: {{issuer: {{secretRef: {{name: ca}}}}, {more}}}}}
  {spec}
"
    )
}

async fn usable(namespace: &Namespace) -> ProvisioningGroup {
    namespace
        .wait("plant", "its CA can be used", |group: &ProvisioningGroup| {
            group_is(group, "Ready", "True", "IssuerUsable")
        })
        .await
}

fn rollover(group: &ProvisioningGroup) -> RolloverStatus {
    group.status.as_ref().and_then(|status| status.rollover.clone()).unwrap_or_default()
}

#[tokio::test]
async fn root_or_intermediate_signs_and_the_chain_is_delivered() {
    let namespace = Namespace::new("chains").await;
    let _operator = Operator::start(&[&namespace]).await;
    let root = Authority::root(usual("Root"));
    let line = root.below(usual("Line 3"));
    // Two domain components, as CAs of a domain controller have them.
    let mut odd = usual("Odd");
    odd.distinguished_name = rcgen::DistinguishedName::new();
    odd.distinguished_name.push(DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]), "contoso");
    odd.distinguished_name.push(DnType::CommonName, "Öfen");
    let odd = Authority::root(odd);
    namespace.apply(&root.secret("ca", &[])).await;
    namespace.apply(&group("", "")).await;
    namespace.apply(&member("a", "  deviceId: Press_18-SN007")).await;
    let mut before = credentials(&issued(&namespace, "a").await);
    for (secret, trusted, certificates) in [
        (root.secret("ca", &[]), &root, 2),
        (line.secret("ca", &[&root]), &root, 3),
        (odd.secret("ca", &[]), &odd, 2),
    ] {
        namespace.apply(&secret).await;
        if certificates == 3 || std::ptr::eq(trusted, &odd) {
            before = credentials(&renewed(&namespace, "a", &before).await);
        }
        let secret = secret_of(&namespace, "a").await;
        let (chain, key) = (secret_text(&secret, "tls.crt"), secret_text(&secret, "tls.key"));
        assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), certificates);
        assert!(belong_together(&chain, &key));
        assert!(lets_in(&chain, &trusted.pem), "{certificates}");
        let stranger = Authority::root(usual("Root"));
        assert!(!lets_in(&chain, &stranger.pem), "the verifier can say no");
        if let Some(subject) = openssl(&chain, &["-subject"]) {
            assert_eq!(subject, "subject=CN = press_18-sn007");
        }
        assert_eq!(secret_text(&secret, "idScope"), "0ne00ABCDEF");
        assert!(!secret.data.unwrap().contains_key("sharedAccessKey"));
    }
    let group = usable(&namespace).await;
    assert!(group.status.unwrap().conditions[0].message.contains("Öfen"));
}

#[tokio::test]
async fn no_certificate_outlives_its_ca() {
    let namespace = Namespace::new("outlive").await;
    let operator = Operator::start(&[&namespace]).await;
    let mut short = usual("Short");
    let ends = Timestamp::now().as_second() + 5 * 24 * 3600;
    short.not_after = time::OffsetDateTime::from_unix_timestamp(ends).unwrap();
    let ca = Authority::root(short);
    namespace.apply(&ca.secret("ca", &[])).await;
    namespace.apply(&group("", "")).await;
    namespace.apply(&member("a", "")).await;
    let reported = credentials(&issued(&namespace, "a").await);
    assert_eq!(reported.not_after.unwrap().0.as_second(), ends);
    // The next one would end no later: it is not made again and again.
    assert_eq!(reported.renewal_at, None);
    usable(&namespace).await;
    assert_eq!(
        operator.metric("lanyard_operator_issuer_expiry_timestamp_seconds", "group=\"plant\""),
        ends as f64
    );
}

#[tokio::test]
async fn wrong_ca_is_reported_and_devices_keep_credentials() {
    let namespace = Namespace::new("wrong-ca").await;
    let _operator = Operator::start(&[&namespace]).await;
    let good = Authority::root(usual("Good"));
    namespace.apply(&group("", "")).await;
    let wait = |reason: &'static str| {
        let namespace = &namespace;
        async move {
            let group = namespace
                .wait("plant", reason, |group: &ProvisioningGroup| group_is(group, "Ready", "False", reason))
                .await;
            condition(&group.status.unwrap().conditions, "Stalled").unwrap().message.clone()
        }
    };
    assert!(wait("SecretNotFound").await.contains("\"ca\""));
    namespace.apply(&good.secret("ca", &[])).await;
    namespace.apply(&member("a", "")).await;
    issued(&namespace, "a").await;
    let before = secret_of(&namespace, "a").await;
    let changed = |change: fn(&mut CertificateParams)| {
        let mut params = usual("Changed");
        change(&mut params);
        Authority::root(params)
    };
    let no_ca = changed(|params| params.is_ca = IsCa::ExplicitNoCa);
    let no_sign = changed(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    let old = changed(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let young = changed(|params| params.not_before = rcgen::date_time_ymd(2120, 1, 1));
    let narrow = changed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let too_deep = narrow.below(usual("Below"));
    let stranger = Authority::root(usual("Stranger"));
    for (secret, reason, words) in [
        (tls_secret("ca", "none", &good.key), "IssuerInvalid", "there is no certificate"),
        (tls_secret("ca", &good.pem, "none"), "IssuerKeyInvalid", "there is no private key"),
        (tls_secret("ca", &good.pem, &stranger.key), "IssuerKeyMismatch", "belong together"),
        (no_ca.secret("ca", &[]), "IssuerNotCA", "CA:TRUE"),
        (no_sign.secret("ca", &[]), "IssuerMayNotSign", "keyCertSign"),
        (old.secret("ca", &[]), "IssuerExpired", "2020-01-01"),
        (young.secret("ca", &[]), "IssuerNotYetValid", "2120-01-01"),
        (too_deep.secret("ca", &[&narrow]), "IssuerPathTooLong", "pathLenConstraint"),
        (good.secret("ca", &[&stranger]), "IssuerChainBroken", "did not sign it"),
    ] {
        namespace.apply(&secret).await;
        let message = wait(reason).await;
        assert!(message.contains(words), "{message}");
        namespace
            .wait("a", reason, |device: &IoTDevice| {
                crate::operator::is(device, "CredentialsReady", "False", reason)
            })
            .await;
    }
    assert_eq!(secret_of(&namespace, "a").await.data, before.data);
    // The same for a CA that is not in use yet; no device is affected.
    namespace.apply(&good.secret("ca", &[])).await;
    namespace.apply(&no_ca.secret("next", &[])).await;
    namespace.apply(&group("secondaryIssuer: {secretRef: {name: next}}", "")).await;
    let message = wait("IssuerNotCA").await;
    assert!(message.starts_with("secondaryIssuer: ") && message.contains("not in use"), "{message}");
    issued(&namespace, "a").await;
    assert_eq!(secret_of(&namespace, "a").await.data, before.data);
}

#[tokio::test]
async fn devices_move_to_another_ca_in_turn_and_back_at_once() {
    let namespace = Namespace::new("move-ca").await;
    let _operator = Operator::start(&[&namespace]).await;
    let (one, other) = (Authority::root(usual("One")), Authority::root(usual("Other")));
    namespace.apply(&one.secret("ca", &[])).await;
    namespace.apply(&other.secret("next", &[])).await;
    let in_use = |slot: &str, per_minute: u32| {
        let spec = format!("rollover: {{devicesPerMinute: {per_minute}}}");
        group(&format!("secondaryIssuer: {{secretRef: {{name: next}}}}, use: {slot}"), &spec)
    };
    namespace.apply(&in_use("Primary", 30)).await;
    let names = ["a", "b", "c", "d"];
    let mut before = Vec::new();
    for name in names {
        namespace.apply(&member(name, "")).await;
    }
    for name in names {
        issued(&namespace, name).await;
        before.push(secret_of(&namespace, name).await);
    }
    let first = usable(&namespace).await;
    let started = Timestamp::now();
    namespace.apply(&in_use("Secondary", 30)).await;
    let counts = |group: &ProvisioningGroup, pending, untried| {
        let reported = rollover(group);
        (reported.pending, reported.untried) == (pending, untried)
            && reported.issuer_fingerprint != rollover(&first).issuer_fingerprint
    };
    namespace.wait("plant", "three wait", |group: &ProvisioningGroup| counts(group, 3, 1)).await;
    let waiting = namespace.api::<IoTDevice>().list(&Default::default()).await.unwrap();
    let pending = waiting
        .iter()
        .filter(|device| crate::operator::is(device, "CredentialsReady", "True", "RolloverPending"));
    assert!(pending.count() >= 1, "a waiting device has the reason and stays as it is");
    namespace.wait("plant", "all have it", |group: &ProvisioningGroup| counts(group, 0, 4)).await;
    let took = Timestamp::now().duration_since(started).as_secs();
    // Four devices at one in two seconds: the last one after six.
    assert!((5..=15).contains(&took), "{took}");
    for (name, before) in names.iter().zip(&before) {
        let secret = secret_of(&namespace, name).await;
        assert!(lets_in(&secret_text(&secret, "tls.crt"), &other.pem));
        assert_eq!(secret_text(&secret, "previous.crt"), secret_text(before, "tls.crt"));
        assert_eq!(secret_text(&secret, "previous.key"), secret_text(before, "tls.key"));
    }
    // The new ones are not proven, so going back needs no new certificate and no turn.
    namespace.apply(&in_use("Primary", 1)).await;
    for (name, before) in names.iter().zip(&before) {
        let secret = namespace
            .wait(&before.name_any(), "it is as it was", |secret: &Secret| secret.data == before.data)
            .await;
        assert_eq!(secret.name_any(), format!("{name}-credentials"));
    }
}

#[tokio::test]
async fn verification_code_is_answered_while_it_is_set() {
    let namespace = Namespace::new("possession").await;
    let _operator = Operator::start(&[&namespace]).await;
    let (one, other) = (Authority::root(usual("One")), Authority::root(usual("Other")));
    namespace.apply(&one.secret("ca", &[])).await;
    namespace.apply(&other.secret("next", &[])).await;
    let with = |primary: &str, secondary: &str| {
        group("", "").replace(
            "issuer: {secretRef: {name: ca}}, ",
            &format!(
                "issuer: {{secretRef: {{name: ca}}{primary}}}, secondaryIssuer: {{secretRef: {{name: next}}{secondary}}}"
            ),
        )
    };
    let code = "75B86466DA34D2B04C0C4C9557A119687ADAE7D4732BDDB3";
    let answered = |secret: &'static str, code: &'static str| {
        let namespace = &namespace;
        async move {
            namespace
                .wait("plant", code, |group: &ProvisioningGroup| {
                    let reported = group
                        .status
                        .as_ref()
                        .and_then(|status| status.verification.clone())
                        .unwrap_or_default();
                    [reported.primary, reported.secondary]
                        .into_iter()
                        .flatten()
                        .any(|answer| answer.code == code && answer.secret_name == secret)
                })
                .await;
            let text = namespace.secret_text(secret, "verification.crt").await;
            if let Some(subject) = openssl(&text, &["-subject"]) {
                assert_eq!(subject, format!("subject=CN = {code}"));
            }
            text
        }
    };
    namespace.apply(&with(&format!(", verificationCode: {code}"), "")).await;
    let first = answered("plant-verification", code).await;
    assert!(lets_in(&first, &one.pem) && !lets_in(&first, &other.pem));
    // Another code, another certificate; and the other CA answers for itself.
    namespace.apply(&with(", verificationCode: SECOND-1", ", verificationCode: THIRD-2")).await;
    let second = answered("plant-verification", "SECOND-1").await;
    let third = answered("plant-secondary-verification", "THIRD-2").await;
    assert!(lets_in(&second, &one.pem) && lets_in(&third, &other.pem));
    // Another CA in the same Secret issues a new answer; a deleted answer is restored.
    let new = Authority::root(usual("New"));
    namespace.apply(&new.secret("ca", &[])).await;
    namespace
        .wait("plant-verification", "the new CA answers", |secret: &Secret| {
            lets_in(&secret_text(secret, "verification.crt"), &new.pem)
        })
        .await;
    let deleted = namespace.api::<Secret>().get("plant-secondary-verification").await.unwrap().uid();
    namespace.api::<Secret>().delete("plant-secondary-verification", &Default::default()).await.unwrap();
    namespace
        .wait("plant-secondary-verification", "it is back", |secret: &Secret| secret.uid() != deleted)
        .await;
    // No code, no answer.
    namespace.apply(&with("", "")).await;
    namespace.wait_gone::<Secret>("plant-verification").await;
    namespace.wait_gone::<Secret>("plant-secondary-verification").await;
    // What belongs to another program stays.
    namespace.apply(&crate::yaml::secret("plant-verification", "mine", "yes")).await;
    namespace.apply(&with(&format!(", verificationCode: {code}"), "")).await;
    namespace
        .wait("plant", "it names the conflict", |group: &ProvisioningGroup| {
            group_is(group, "Ready", "False", "Conflict")
        })
        .await;
    assert_eq!(namespace.secret_text("plant-verification", "mine").await, "yes");
    namespace
        .change::<ProvisioningGroup>(
            "plant",
            json!({"spec": {"attestation": {"x509": {"issuer": {"verificationCode": null}}}}}),
        )
        .await;
    usable(&namespace).await;
    assert_eq!(namespace.secret_text("plant-verification", "mine").await, "yes");
}
