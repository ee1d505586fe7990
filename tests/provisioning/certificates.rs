//! Certificates of single devices: issued, renewed, replaced, restored; and those of other programs.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::DeleteParams;
use lanyard_crds::IoTDevice;
use lanyard_crds::slot::InUse;
use lanyard_crds::status::{CredentialsKind, CredentialsStatus};
use lanyard_tests::kubernetes::{Namespace, secret_text};
use lanyard_tests::process::eventually;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use crate::authority::{Authority, belong_together, openssl, tls_secret, usual};
use crate::operator::{Operator, condition, is, issued};

/// Returns the manifest of a device that connects directly to a hub, with a certificate that the operator makes.
fn self_signed(name: &str, leaf: &str) -> String {
    with_auth(name, &format!("{{selfSigned: {leaf}}}"))
}

fn with_auth(name: &str, auth: &str) -> String {
    format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: {name}}}
spec: {{hub: {{hostname: hub.example, auth: {auth}}}}}
"
    )
}

pub(crate) async fn secret_of(namespace: &Namespace, device: &str) -> Secret {
    namespace.api::<Secret>().get(&format!("{device}-credentials")).await.unwrap()
}

pub(crate) fn credentials(device: &IoTDevice) -> CredentialsStatus {
    device.status.as_ref().and_then(|status| status.credentials.clone()).unwrap_or_default()
}

fn has(secret: &Secret, key: &str) -> bool {
    secret.data.as_ref().is_some_and(|data| data.contains_key(key))
}

/// Waits for a certificate other than this one.
pub(crate) async fn renewed(namespace: &Namespace, name: &str, before: &CredentialsStatus) -> IoTDevice {
    namespace
        .wait(name, "it has another certificate", |device: &IoTDevice| {
            let now = credentials(device).fingerprint;
            now.is_some() && now != before.fingerprint && is(device, "CredentialsReady", "True", "Issued")
        })
        .await
}

#[tokio::test]
async fn a_device_gets_a_certificate_as_the_portal_asks_for_it() {
    let namespace = Namespace::new("self-signed").await;
    let operator = Operator::start(&[&namespace]).await;
    namespace.apply(&self_signed("a", "{}")).await;
    namespace.apply(&self_signed("b", "{privateKey: {algorithm: RSA, size: 3072}, duration: 24h}")).await;
    namespace.apply(&self_signed("c", "{privateKey: {size: 384}}")).await;
    for (name, algorithm) in
        [("a", "Public-Key: (256 bit)"), ("b", "Public-Key: (3072 bit)"), ("c", "Public-Key: (384 bit)")]
    {
        let device = issued(&namespace, name).await;
        let secret = secret_of(&namespace, name).await;
        let (leaf, key) = (secret_text(&secret, "tls.crt"), secret_text(&secret, "tls.key"));
        assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS #8");
        assert!(belong_together(&leaf, &key), "{name}");
        assert_eq!(secret_text(&secret, "deviceId"), name);
        assert_eq!(secret_text(&secret, "hostname"), "hub.example");
        for other in ["sharedAccessKey", "connectionString", "previous.crt", "previous.key"] {
            assert!(!has(&secret, other), "{other}");
        }
        let reported = credentials(&device);
        assert_eq!((reported.kind, reported.current), (CredentialsKind::X509, Some(InUse::Primary)));
        let primary = reported.primary.clone().unwrap();
        assert_eq!(
            (reported.fingerprint.as_ref(), reported.secondary),
            (Some(&primary.sha256_thumbprint), None)
        );
        let ready = condition(&device.status.as_ref().unwrap().conditions, "CredentialsReady").unwrap();
        assert!(ready.message.contains(&primary.sha256_thumbprint), "{}", ready.message);
        if let Some(text) = openssl(&leaf, &["-text"]) {
            let fingerprint = |kind: &str| openssl(&leaf, &["-fingerprint", kind]).unwrap().replace(':', "");
            assert!(fingerprint("-sha1").ends_with(&primary.sha1_thumbprint));
            assert!(fingerprint("-sha256").ends_with(&primary.sha256_thumbprint));
            assert!(openssl(&leaf, &["-serial"]).unwrap().ends_with(&format!("={}", primary.serial_number)));
            for words in [
                "Version: 3",
                &format!("Subject: CN = {name}"),
                algorithm,
                "CA:FALSE",
                "TLS Web Client Authentication",
                "Digital Signature",
            ] {
                assert!(text.contains(words), "{words} is not in {text}");
            }
        }
    }
    let day = namespace.api::<IoTDevice>().get("b").await.unwrap();
    let ends = credentials(&day).not_after.unwrap().0;
    let left = ends.duration_since(Timestamp::now()).as_hours();
    assert!((23..=24).contains(&left), "{ends}");
    // Whoever watches expiries finds it in the metrics, and finds it gone with the device.
    let series = "lanyard_operator_credential_expiry_timestamp_seconds";
    eventually("the expiry is reported", Duration::from_secs(30), || {
        (operator.metric(series, "device=\"b\"") == ends.as_second() as f64).then_some(())
    });
    namespace.api::<IoTDevice>().delete("b", &DeleteParams::default()).await.unwrap();
    eventually("the expiry is gone", Duration::from_secs(30), || {
        (!operator.page("/metrics").1.contains("device=\"b\"")).then_some(())
    });
}

#[tokio::test]
async fn certificate_is_renewed_on_time_beside_the_previous_one() {
    let namespace = Namespace::new("renewal").await;
    let _operator = Operator::start(&[&namespace]).await;
    // Two minutes of life; the next one is made 100 to 110 seconds before the end.
    namespace.apply(&self_signed("a", "{duration: 2m, renewBefore: 100s}")).await;
    let first = credentials(&issued(&namespace, "a").await);
    let before = secret_of(&namespace, "a").await;
    let announced = first.renewal_at.clone().unwrap().0;
    let left = announced.duration_since(Timestamp::now()).as_secs();
    assert!((5..=21).contains(&left), "{left}");

    let second = credentials(&renewed(&namespace, "a", &first).await);
    let made = Timestamp::now();
    assert!(made >= announced, "not before it was due");
    assert!(made.duration_since(announced).as_secs() < 5, "due {announced}, made {made}");
    let after = secret_of(&namespace, "a").await;
    for (old, new) in [("tls.crt", "previous.crt"), ("tls.key", "previous.key")] {
        assert_eq!(secret_text(&after, new), secret_text(&before, old));
        assert_ne!(secret_text(&after, old), secret_text(&before, old), "each has a key of its own");
    }
    assert!(belong_together(&secret_text(&after, "tls.crt"), &secret_text(&after, "tls.key")));
    assert_eq!(second.current, Some(InUse::Secondary), "renewals take turns");
    assert_eq!(second.primary, first.primary, "the hub goes on knowing it");
    assert_eq!(second.secondary.unwrap().sha256_thumbprint, second.fingerprint.unwrap());
}

/// An operator that was off finds such a certificate.
#[tokio::test]
async fn a_certificate_that_ended_is_replaced_at_once() {
    let namespace = Namespace::new("ended").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&self_signed("late", "{}")).await;
    let before = credentials(&issued(&namespace, "late").await);
    let (now, hour) = (Timestamp::now().as_second(), 3600);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "late");
    let at = |second: i64| time::OffsetDateTime::from_unix_timestamp(second).unwrap();
    (params.not_before, params.not_after) = (at(now - 2 * hour), at(now - hour));
    let key = KeyPair::generate().unwrap();
    let planted = params.self_signed(&key).unwrap().pem().replace("\r\n", "\n");
    let data = serde_json::json!({"stringData": {"tls.crt": planted, "tls.key": key.serialize_pem()}});
    namespace.change::<Secret>("late-credentials", data).await;
    let device = renewed(&namespace, "late", &before).await;
    let ends = credentials(&device).not_after.unwrap().0.as_second();
    assert!(ends > now + 24 * hour, "{ends}");
    let secret = secret_of(&namespace, "late").await;
    assert_eq!(
        secret_text(&secret, "previous.crt"),
        planted,
        "a hub may know it, and no better one is there"
    );
}

#[tokio::test]
async fn deleted_secret_gets_another_certificate() {
    let namespace = Namespace::new("reissue").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&self_signed("a", "{}")).await;
    let first = credentials(&issued(&namespace, "a").await);
    namespace.api::<Secret>().delete("a-credentials", &DeleteParams::default()).await.unwrap();
    let device = renewed(&namespace, "a", &first).await;
    let now = credentials(&device);
    let ready = condition(&device.status.as_ref().unwrap().conditions, "CredentialsReady").unwrap();
    assert!(ready.message.contains(now.fingerprint.as_ref().unwrap()), "{}", ready.message);
}

/// Nothing is lost when the Secret gets another name, although its type forbids to change it in place.
#[tokio::test]
async fn certificate_moves_with_its_secrets_name() {
    let namespace = Namespace::new("moving").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&self_signed("a", "{}")).await;
    issued(&namespace, "a").await;
    let before = secret_of(&namespace, "a").await;
    let elsewhere =
        self_signed("a", "{}").replace("spec: {", "spec: {credentials: {secretName: elsewhere}, ");
    namespace.apply(&elsewhere).await;
    namespace.wait_gone::<Secret>("a-credentials").await;
    assert_eq!(namespace.secret_text("elsewhere", "tls.crt").await, secret_text(&before, "tls.crt"));

    namespace.apply(&crate::yaml::secret("b-key", "primaryKey", crate::yaml::K32)).await;
    namespace.apply(&crate::yaml::at_hub("b", "hub.example", "")).await;
    let first = credentials(&issued(&namespace, "b").await);
    namespace.apply(&self_signed("b", "{}")).await;
    renewed(&namespace, "b", &first).await;
    let secret = secret_of(&namespace, "b").await;
    assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
    assert_eq!(secret_text(&secret, "previousSharedAccessKey"), crate::yaml::K32);
    assert!(!has(&secret, "sharedAccessKey") && !has(&secret, "connectionString"));
}

/// Returns the parameters of a certificate as cert-manager issues it.
fn for_client(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

#[tokio::test]
async fn external_certificate_is_followed() {
    let namespace = Namespace::new("kept").await;
    let _operator = Operator::start(&[&namespace]).await;
    let ca = Authority::root(usual("Plant CA"));
    let kept = |(leaf, key): &(String, String)| tls_secret("kept", &format!("{leaf}{}", ca.pem), key);
    let first = ca.leaf(&for_client("a"));
    namespace.apply(&kept(&first)).await;
    namespace.apply(&with_auth("a", "{certificate: {secretRef: {name: kept}}}")).await;
    let reported = credentials(&issued(&namespace, "a").await);
    let secret = secret_of(&namespace, "a").await;
    assert_eq!(secret_text(&secret, "tls.crt"), format!("{}{}", first.0, ca.pem).replace("\r\n", "\n"));
    assert!(belong_together(&secret_text(&secret, "tls.crt"), &secret_text(&secret, "tls.key")));
    assert_eq!((&reported.renewal_at, reported.kind), (&None, CredentialsKind::X509));

    let second = ca.leaf(&for_client("a"));
    namespace.apply(&kept(&second)).await;
    renewed(&namespace, "a", &reported).await;
    let secret = secret_of(&namespace, "a").await;
    assert!(secret_text(&secret, "tls.crt").starts_with(second.0.trim_end()));
    assert!(
        secret_text(&secret, "previous.crt").starts_with(first.0.trim_end()),
        "until the new one is proven"
    );
}

#[tokio::test]
async fn unsuitable_external_certificate_is_reported() {
    let namespace = Namespace::new("unfit").await;
    let _operator = Operator::start(&[&namespace]).await;
    let ca = Authority::root(usual("Plant CA"));
    let good = ca.leaf(&for_client("a"));
    namespace.apply(&with_auth("a", "{certificate: {secretRef: {name: kept}}}")).await;
    let wait = |reason: &'static str| {
        let namespace = &namespace;
        async move {
            let device = namespace
                .wait("a", reason, |device: &IoTDevice| is(device, "CredentialsReady", "False", reason))
                .await;
            let reported = device.status.unwrap();
            assert_eq!(condition(&reported.conditions, "Stalled").unwrap().status, "True", "{reason}");
            condition(&reported.conditions, "CredentialsReady").unwrap().message.clone()
        }
    };
    assert!(wait("SecretNotFound").await.contains("\"kept\""));
    namespace.apply(&tls_secret("kept", &good.0, &good.1)).await;
    issued(&namespace, "a").await;
    let before = secret_of(&namespace, "a").await;
    let other = ca.leaf(&for_client("b"));
    let mut server = for_client("a");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut old = for_client("a");
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let mut young = for_client("a");
    young.not_before = rcgen::date_time_ymd(2120, 1, 1);
    let (server, old, young) = (ca.leaf(&server), ca.leaf(&old), ca.leaf(&young));
    for (leaf, key, reason, words) in [
        ("none", good.1.as_str(), "CertificateInvalid", "there is no certificate"),
        (&good.0, "none", "CertificateKeyInvalid", "there is no private key"),
        (&good.0, &other.1, "CertificateKeyMismatch", "belong together"),
        (&other.0, &other.1, "CertificateNameMismatch", "CN=\"b\""),
        (&server.0, &server.1, "CertificateUsage", "clientAuth"),
        (&old.0, &old.1, "CertificateExpired", "2020-01-01"),
        (&young.0, &young.1, "CertificateNotYetValid", "2120-01-01"),
    ] {
        namespace.apply(&tls_secret("kept", leaf, key)).await;
        let message = wait(reason).await;
        assert!(message.contains(words), "{message}");
        assert!(!message.contains("PRIVATE KEY-----\n"), "{message}");
    }
    let after = secret_of(&namespace, "a").await;
    assert_eq!(
        (after.data, after.metadata.resource_version),
        (before.data, before.metadata.resource_version)
    );
}

/// A restarted operator finds everything in order, although it cannot issue the same certificate again.
#[tokio::test]
async fn a_second_reconcile_of_certificates_writes_nothing() {
    let namespace = Namespace::new("quiet-x509").await;
    let first = Operator::start(&[&namespace]).await;
    for name in ["a", "b"] {
        namespace.apply(&self_signed(name, "{}")).await;
        let device = issued(&namespace, name).await;
        namespace
            .wait(&device.name_any(), "its pod is where it stays", |device: &IoTDevice| {
                is(device, "AgentReady", "False", "AgentUnschedulable")
                    || is(device, "AgentReady", "False", "AgentImageUnavailable")
            })
            .await;
    }
    drop(first);
    let before = (secret_of(&namespace, "a").await, secret_of(&namespace, "b").await);
    let second = Operator::start(&[&namespace]).await;
    eventually("everything has been looked at", Duration::from_secs(30), || {
        (second.metric("lanyard_operator_reconciles_total", "kind=\"IoTDevice\"") >= 2.0).then_some(())
    });
    assert_eq!(second.metric("lanyard_operator_api_writes_total", ""), 0.0, "{}", second.page("/metrics").1);
    assert_eq!((secret_of(&namespace, "a").await, secret_of(&namespace, "b").await), before);
}
