//! Errors that depend on the cluster become conditions with stable reasons, and corrections apply at once.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::Namespace;
use serde_json::json;

use crate::authority::{Authority, usual};
use crate::operator::{Operator, condition, group_is, is, issued};
use crate::yaml::{K32, K64, at_hub, group_secret, group_without_secret, member, secret};

/// Waits for a reason and returns its message.
async fn stalled(namespace: &Namespace, name: &str, reason: &str) -> String {
    let what = format!("it is stalled with {reason}");
    let device =
        namespace.wait(name, &what, |device: &IoTDevice| is(device, "Stalled", "True", reason)).await;
    assert!(is(&device, "Ready", "False", reason) && is(&device, "Reconciling", "False", "Stalled"));
    condition(&device.status.as_ref().unwrap().conditions, "Ready").unwrap().message.clone()
}

#[tokio::test]
async fn each_error_of_a_group_is_reported_until_corrected() {
    let namespace = Namespace::new("group-faults").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&member("a", "")).await;
    assert!(stalled(&namespace, "a", "GroupNotFound").await.contains("\"plant\""));

    namespace.apply(&group_without_secret()).await;
    assert!(stalled(&namespace, "a", "SecretNotFound").await.contains("\"plant-key\""));
    namespace
        .wait("plant", "it says so", |group: &ProvisioningGroup| {
            group_is(group, "Stalled", "True", "SecretNotFound")
        })
        .await;

    namespace.apply(&secret("plant-key", "primarykey", K64)).await;
    let actual = stalled(&namespace, "a", "SecretKeyMissing").await;
    assert!(actual.contains("no key primaryKey") && !actual.contains("primarykey"), "{actual}");

    namespace.apply(&secret("plant-key", "primaryKey", "no base64!")).await;
    let actual = stalled(&namespace, "a", "KeyNotBase64").await;
    assert!(
        actual.contains("primaryKey in Secret \"plant-key\"") && !actual.contains("no base64!"),
        "{actual}"
    );
    namespace
        .wait("plant", "it says so", |group: &ProvisioningGroup| {
            group_is(group, "Ready", "False", "KeyNotBase64")
        })
        .await;

    namespace.apply(&group_secret(K64, K32)).await;
    issued(&namespace, "a").await;
    namespace
        .wait("plant", "it is ready", |group: &ProvisioningGroup| {
            group_is(group, "Ready", "True", "KeyUsable")
        })
        .await;

    // A Secret that is deleted while it is in use is reported, and what depends on it stays.
    namespace.api::<Secret>().delete("plant-key", &DeleteParams::default()).await.unwrap();
    stalled(&namespace, "a", "SecretNotFound").await;
    assert!(namespace.api::<Secret>().get_opt("a-credentials").await.unwrap().is_some());
    namespace.apply(&group_secret(K64, K32)).await;
    issued(&namespace, "a").await;

    let ca = json!({"spec": {"dps": {"trustedCA": {"configMapKeyRef": {"name": "ca", "key": "ca.crt"}}}}});
    namespace.change::<ProvisioningGroup>("plant", ca).await;
    assert!(stalled(&namespace, "a", "TrustedCANotFound").await.contains("ConfigMap ca"));
    namespace.apply("\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\ndata: {other: x}\n").await;
    namespace
        .wait("a", "the missing key is named", |device: &IoTDevice| {
            let ready = device.status.as_ref().and_then(|status| condition(&status.conditions, "Ready"));
            ready.is_some_and(|ready| ready.message.contains("no such key"))
        })
        .await;
    namespace
        .apply("\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\ndata: {ca.crt: nonsense}\n")
        .await;
    stalled(&namespace, "a", "TrustedCAInvalid").await;
    let pem = Authority::root(usual("Plant CA")).pem;
    namespace.change::<ConfigMap>("ca", json!({"data": {"ca.crt": pem}})).await;
    issued(&namespace, "a").await;
}

#[tokio::test]
async fn each_error_of_a_devices_own_secret_is_named() {
    let namespace = Namespace::new("hub-faults").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&at_hub("a", "hub.example", "")).await;
    assert!(stalled(&namespace, "a", "SecretNotFound").await.contains("connectionString or primaryKey"));
    namespace.apply(&secret("a-key", "other", "x")).await;
    stalled(&namespace, "a", "SecretKeyMissing").await;
    for (text, reason, words) in [
        ("HostName=hub.example;SharedAccessKey=x".to_owned(), "InvalidConnectionString", "lacks DeviceId"),
        (
            format!("HostName=hub.example;DeviceId=b;SharedAccessKey={K32}"),
            "ConnectionStringMismatch",
            "the DeviceId of connectionString in Secret \"a-key\"",
        ),
        (
            format!("HostName=other.example;DeviceId=a;SharedAccessKey={K32}"),
            "ConnectionStringMismatch",
            "the HostName of connectionString in Secret \"a-key\"",
        ),
    ] {
        namespace.apply(&secret("a-key", "connectionString", &text)).await;
        namespace
            .wait("a", words, |device: &IoTDevice| {
                let ready = device.status.as_ref().and_then(|status| condition(&status.conditions, "Ready"));
                ready.is_some_and(|ready| ready.reason == reason && ready.message.contains(words))
            })
            .await;
    }
    namespace
        .apply(&secret(
            "a-key",
            "connectionString",
            &format!("HostName=HUB.example;DeviceId=a;SharedAccessKey={K32}"),
        ))
        .await;
    issued(&namespace, "a").await;
}

#[tokio::test]
async fn events_report_transitions_and_no_secret() {
    let namespace = Namespace::new("events").await;
    let operator = Operator::start(&[&namespace]).await;
    namespace.apply(&member("a", "")).await;
    stalled(&namespace, "a", "GroupNotFound").await;
    namespace.apply(&group_secret(K64, K32)).await;
    namespace.apply(&group_without_secret()).await;
    issued(&namespace, "a").await;
    let events = async || namespace.api::<Event>().list(&ListParams::default()).await.unwrap().items;
    lanyard_tests::kubernetes::within("the events are there", async {
        loop {
            let reasons: Vec<_> = events().await.into_iter().filter_map(|event| event.reason).collect();
            if ["GroupNotFound", "CredentialsIssued", "AgentDeployed"]
                .iter()
                .all(|expected| reasons.iter().any(|reason| reason == expected))
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
    let key = namespace.secret_text("a-credentials", "sharedAccessKey").await;
    let device = namespace.api::<IoTDevice>().get("a").await.unwrap();
    let actual = [
        serde_json::to_string(&events().await).unwrap(),
        serde_json::to_string(&device).unwrap(),
        operator.process.log(),
        operator.page("/metrics").1,
    ];
    for text in actual {
        assert!(
            !text.contains(&key) && !text.contains(K64) && !text.contains(&K64[..32]),
            "a key is in the text"
        );
    }
    let warnings: Vec<_> =
        events().await.into_iter().filter(|event| event.reason.as_deref() == Some("GroupNotFound")).collect();
    assert_eq!((warnings.len(), warnings[0].type_.as_deref()), (1, Some("Warning")));
    assert!(warnings[0].name_any().starts_with("a."));
}
