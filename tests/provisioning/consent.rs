//! Secrets and claims are used as their owners allow, whatever the author of a device writes.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::Namespace;
use serde_json::json;

use crate::operator::{Operator, condition, group_is, is, issued};
use crate::yaml::{K32, K64, at_hub, group, member, secret};

async fn stalled(namespace: &Namespace, name: &str, reason: &str) -> String {
    let device =
        namespace.wait(name, reason, |device: &IoTDevice| is(device, "Stalled", "True", reason)).await;
    condition(&device.status.unwrap().conditions, "Stalled").unwrap().message.clone()
}

async fn has_no_credentials(namespace: &Namespace, name: &str) {
    let secret = namespace.api::<Secret>().get_opt(&format!("{name}-credentials")).await.unwrap();
    assert!(secret.is_none(), "{name} got credentials");
}

/// The author of a device names the Secret of a group as the device's own.
#[tokio::test]
async fn h2_a_groups_key_reaches_no_pod() {
    let namespace = Namespace::new("consent").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    let thief = at_hub("thief", "hub.example", "").replace("thief-key", "plant-key");
    namespace.apply(&thief).await;
    let text = stalled(&namespace, "thief", "SecretUseMismatch").await;
    assert!(text.contains("ProvisioningGroup plant"), "{text}");
    has_no_credentials(&namespace, "thief").await;

    // With the group gone it still looks like a group's; the owner's word decides, and is heard at once.
    namespace.api::<ProvisioningGroup>().delete("plant", &Default::default()).await.unwrap();
    let text = stalled(&namespace, "thief", "SecretUseMissing").await;
    assert!(!text.contains("secondaryKey") && !text.contains(K64), "L1: {text}");
    has_no_credentials(&namespace, "thief").await;
    let command = format!("kubectl -n {} label secret plant-key lanyard.dev/use=device-key", namespace.name);
    assert!(text.contains(&command), "{text}");
    let label = |value: &str| json!({"metadata": {"labels": {"lanyard.dev/use": value}}});
    namespace.change::<Secret>("plant-key", label("device-key")).await;
    issued(&namespace, "thief").await;

    // The other way round: a labelled device key is no group's.
    namespace.apply(&crate::yaml::group_without_secret()).await;
    namespace
        .wait("plant", "its key is refused", |group: &ProvisioningGroup| {
            group_is(group, "Stalled", "True", "SecretUseMismatch")
        })
        .await;
}

/// A Secret of the operator is a source neither for another device nor for a group.
#[tokio::test]
async fn h2_a_secret_of_the_operator_is_no_source() {
    let namespace = Namespace::new("consent").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&(group() + "---" + &member("a", ""))).await;
    issued(&namespace, "a").await;
    namespace.apply(&at_hub("b", "hub.example", "").replace("b-key", "a-credentials")).await;
    stalled(&namespace, "b", "SecretUseMismatch").await;
    has_no_credentials(&namespace, "b").await;
}

/// The author of a device points a key to a host of the author's own.
#[tokio::test]
async fn h3_key_is_sent_only_where_its_secret_allows() {
    let namespace = Namespace::new("consent").await;
    let _operator = Operator::start(&[&namespace]).await;
    let string = format!("HostName=hub.example;DeviceId=a;SharedAccessKey={K32}");
    namespace.apply(&secret("a-key", "connectionString", &string)).await;
    namespace.apply(&at_hub("a", "hub.example", "")).await;
    issued(&namespace, "a").await;
    let evil = json!({"spec": {"hub": {"gatewayHostname": "evil.example"}}});
    namespace.change::<IoTDevice>("a", evil).await;
    let text = stalled(&namespace, "a", "DestinationNotAllowed").await;
    assert!(text.contains("connectionString") && text.contains("evil.example"), "{text}");
    let mounted = namespace.secret_text("a-credentials", "connectionString").await;
    assert!(!mounted.contains("evil.example"), "what was issued stays as it was");

    // The owner of the Secret allows the gateway.
    namespace.change::<Secret>("a-key", json!({"stringData": {"gatewayHostname": "evil.example"}})).await;
    issued(&namespace, "a").await;

    namespace.apply(&(group() + "---" + &member("m", ""))).await;
    issued(&namespace, "m").await;
    let evil = json!({"spec": {"dps": {"endpoint": "evil.example"}}});
    namespace.change::<ProvisioningGroup>("plant", evil).await;
    let text = stalled(&namespace, "m", "EndpointNotAllowed").await;
    assert!(text.contains("operator.dpsEndpoints"), "{text}");
    namespace
        .wait("plant", "its endpoint is refused", |group: &ProvisioningGroup| {
            group_is(group, "Stalled", "True", "EndpointNotAllowed")
        })
        .await;
    assert_eq!(namespace.secret_text("m-credentials", "dpsEndpoint").await, "localhost");
}

/// The author of a device names the claim of a database.
#[tokio::test]
async fn m4_a_claim_is_mounted_only_with_its_owners_consent() {
    let namespace = Namespace::new("consent").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace
        .apply(
            "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: database}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}, storageClassName: nobodys}
",
        )
        .await;
    namespace.apply(&member("a", "  buffer: {storage: {existingClaim: {name: database}}}")).await;
    let text = stalled(&namespace, "a", "ClaimNotShared").await;
    assert!(text.contains("label pvc database lanyard.dev/buffer=shared"), "{text}");
    assert!(namespace.api::<StatefulSet>().get_opt("a-agent").await.unwrap().is_none());
    let label = json!({"metadata": {"labels": {"lanyard.dev/buffer": "shared"}}});
    namespace.change::<PersistentVolumeClaim>("database", label).await;
    let workload = namespace.wait("a-agent", "it is made", |_: &StatefulSet| true).await;
    let pod = workload.spec.unwrap().template.spec.unwrap();
    let mounts = pod.containers[0].volume_mounts.clone().unwrap();
    let buffer = mounts.iter().find(|mount| mount.name == "buffer").unwrap();
    assert_eq!(buffer.sub_path.as_deref(), Some("a"));
}
