//! Keys, connection strings, certificates and CA bundles as people's tools write them, on a real API server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use lanyard_crds::IoTDevice;
use lanyard_tests::kubernetes::{Namespace, secret_text};
use rcgen::{CertificateParams, DnType};
use serde_json::json;

use crate::authority::{Authority, tls_secret, usual};
use crate::certificates::credentials;
use crate::operator::{Operator, condition, issued};
use crate::yaml::{K32, K64, at_hub, group_secret, group_without_secret, member, secret};

/// `openssl x509 -req -days 36500 -in CSR -signkey KEY` makes version 1, without extensions. The key is for this test
/// only.
const VERSION_1: (&str, &str) = (
    include_str!("../../operator/tests/stages/version-1.crt"),
    include_str!("../../operator/tests/stages/version-1.key"),
);

fn ready_reason(device: &IoTDevice) -> Option<(String, String)> {
    let status = device.status.as_ref()?;
    let ready = condition(&status.conditions, "Ready")?;
    Some((ready.reason.clone(), ready.message.clone()))
}

/// Waits for a reason with these words and returns the whole message.
async fn refused(namespace: &Namespace, name: &str, reason: &str, words: &str) -> String {
    let reported = |device: &IoTDevice| {
        ready_reason(device).is_some_and(|(found, message)| found == reason && message.contains(words))
    };
    ready_reason(&namespace.wait(name, &format!("{reason}: {words}"), reported).await).unwrap().1
}

/// Returns the manifest of a Secret whose value is these bytes.
fn raw_secret(name: &str, key: &str, bytes: &[u8]) -> String {
    let data = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {key: STANDARD.encode(bytes)}});
    data.to_string()
}

#[tokio::test]
async fn keys_are_read_as_tools_write_them() {
    let namespace = Namespace::new("texts-keys").await;
    let _operator = Operator::start(&[&namespace]).await;
    // As `openssl rand -base64 64` prints it, with a newline inside.
    let wrapped = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "plant-key"},
        "stringData": {"primaryKey": format!("{}\n{}\n", &K64[..64], &K64[64..])}});
    namespace.apply(&wrapped.to_string()).await;
    namespace.apply(&group_without_secret()).await;
    namespace.apply(&member("dev-01", "")).await;
    issued(&namespace, "dev-01").await;
    let key = namespace.secret_text("dev-01-credentials", "sharedAccessKey").await;
    assert_eq!(key, "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE=");

    namespace.apply(&at_hub("a", "hub.example", "")).await;
    let utf16: Vec<u8> = K32.encode_utf16().flat_map(u16::to_le_bytes).collect();
    namespace.apply(&raw_secret("a-key", "primaryKey", &utf16)).await;
    refused(&namespace, "a", "KeyNotBase64", "the text is UTF-16: save it as UTF-8").await;
    let string = format!("\u{feff}HostName=hub.example;DeviceId=a;SharedAccessKey={K32}\r\n");
    namespace.apply(&raw_secret("a-key", "connectionString", string.as_bytes())).await;
    issued(&namespace, "a").await;
}

#[tokio::test]
async fn bare_key_under_connection_string_is_shown_nowhere() {
    let namespace = Namespace::new("texts-leak").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&secret("a-key", "connectionString", K32)).await;
    namespace.apply(&at_hub("a", "hub.example", "")).await;
    refused(&namespace, "a", "InvalidConnectionString", "store it as primaryKey").await;
    let wrong = format!("HostName=hub.example;{K32};DeviceId=a");
    namespace.apply(&secret("a-key", "connectionString", &wrong)).await;
    refused(&namespace, "a", "InvalidConnectionString", "part 2 of the connection string").await;
    let mut shown = serde_json::to_string(&namespace.api::<IoTDevice>().get("a").await.unwrap()).unwrap();
    for event in namespace.api::<Event>().list(&ListParams::default()).await.unwrap().items {
        shown.push_str(&serde_json::to_string(&event).unwrap());
    }
    assert!(shown.contains("InvalidConnectionString"));
    let part = K32.as_bytes().windows(8).find(|part| shown.contains(std::str::from_utf8(part).unwrap()));
    assert_eq!(part, None);
}

#[tokio::test]
async fn connection_string_for_another_way_is_refused() {
    let namespace = Namespace::new("texts-ways").await;
    let _operator = Operator::start(&[&namespace]).await;
    let string =
        format!("HostName=hub.example;DeviceId=a;SharedAccessKey={K32};GatewayHostName=edge1.plant.local");
    namespace.apply(&secret("a-key", "connectionString", &string)).await;
    namespace.apply(&at_hub("a", "hub.example", "")).await;
    refused(&namespace, "a", "ConnectionStringMismatch", "hub.gatewayHostname").await;
    let string = format!("HostName=hub.example:8884;DeviceId=a;SharedAccessKey={K32}");
    namespace.apply(&secret("a-key", "connectionString", &string)).await;
    refused(&namespace, "a", "ConnectionStringMismatch", "the HostName of connectionString").await;

    namespace.apply(&secret("b-key", "primaryKey", K32)).await;
    namespace.apply(&at_hub("b", "hub.example", "  deviceId: 'press;17'")).await;
    issued(&namespace, "b").await;
    let data = namespace.api::<Secret>().get("b-credentials").await.unwrap().data.unwrap();
    assert!(data.contains_key("sharedAccessKey") && !data.contains_key("connectionString"));
}

#[tokio::test]
async fn certificates_are_judged_with_their_whole_chain() {
    let namespace = Namespace::new("texts-chain").await;
    let _operator = Operator::start(&[&namespace]).await;
    let device = |name: &str, id: &str| {
        let spec = json!({"deviceId": id, "hub": {"hostname": "hub.example",
            "auth": {"certificate": {"secretRef": {"name": format!("{name}-tls")}}}}});
        json!({"apiVersion": "lanyard.dev/v1alpha1", "kind": "IoTDevice", "metadata": {"name": name}, "spec": spec}).to_string()
    };
    namespace.apply(&tls_secret("old-tls", VERSION_1.0, VERSION_1.1)).await;
    namespace.apply(&device("old", "dev1")).await;
    issued(&namespace, "old").await;

    let root = Authority::root(usual("Plant root"));
    let below = |year: i32| {
        let mut params = usual("Plant CA");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        root.below(params)
    };
    let mut client = CertificateParams::default();
    client.distinguished_name.push(DnType::CommonName, "chained");
    for (ca, ends) in [(below(2021), None), (below(2051), Some("2051-01-01T00:00:00Z"))] {
        let (leaf, key) = ca.leaf(&client);
        namespace.apply(&tls_secret("chained-tls", &format!("{leaf}{}", ca.pem), &key)).await;
        namespace.apply(&device("chained", "chained")).await;
        let Some(ends) = ends else {
            refused(&namespace, "chained", "CertificateExpired", "certificate 2 in tls.crt").await;
            continue;
        };
        let reported = credentials(&issued(&namespace, "chained").await);
        assert_eq!(reported.not_after.unwrap().0.to_string(), ends);
    }
    namespace.apply(&tls_secret("ca-tls", &root.pem, &root.key)).await;
    namespace.apply(&device("ca", "Plant root").replace("Plant root", "ca")).await;
    let own = Authority::root(usual("ca"));
    namespace.apply(&tls_secret("ca-tls", &own.pem, &own.key)).await;
    refused(&namespace, "ca", "CertificateUsage", "is a CA certificate").await;
}

#[tokio::test]
async fn damaged_ca_bundle_is_reported_and_changes_nothing() {
    let namespace = Namespace::new("texts-ca").await;
    let _operator = Operator::start(&[&namespace]).await;
    let ca = Authority::root(usual("Plant CA"));
    let bundle = |text: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": text}})
            .to_string()
    };
    namespace.apply(&bundle(&ca.pem)).await;
    namespace.apply(&group_secret(K64, K32)).await;
    let with_ca = group_without_secret().replace(
        "endpoint: localhost",
        "endpoint: localhost, trustedCA: {configMapKeyRef: {name: ca, key: ca.crt}}",
    );
    namespace.apply(&with_ca).await;
    namespace.apply(&member("a", "")).await;
    issued(&namespace, "a").await;
    let before = namespace.secret_text("a-credentials", "ca.crt").await;
    assert_eq!(before, ca.pem.replace("\r\n", "\n"));
    for (text, words) in [
        (format!("{}{}", ca.pem, &ca.pem[..200]), "block 2 is cut"),
        (format!("{}{}", ca.pem, ca.key), "block 2 is a private key"),
    ] {
        namespace.change::<ConfigMap>("ca", json!({"data": {"ca.crt": text}})).await;
        let message = refused(&namespace, "a", "TrustedCAInvalid", words).await;
        assert!(message.contains("the agent continues with its current credentials"), "{message}");
        let now = namespace.api::<Secret>().get("a-credentials").await.unwrap();
        assert_eq!(secret_text(&now, "ca.crt"), before);
    }
}
