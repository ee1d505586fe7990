//! A blocked device leaves the hub, and comes back as it was.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use lanyard_crds::IoTDevice;
use lanyard_crds::status::ProvisioningState;
use lanyard_tests::kubernetes::Namespace;
use serde_json::json;

use crate::operator::{Operator, is, issued};
use crate::yaml::{group, member};

fn state(device: &IoTDevice) -> Option<ProvisioningState> {
    device.status.as_ref().and_then(|status| status.provisioning_state)
}

#[tokio::test]
async fn blocked_device_has_no_agent_and_no_credentials() {
    let namespace = Namespace::new("blocked").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    let device = issued(&namespace, "a").await;
    assert_eq!(state(&device), Some(ProvisioningState::Registered));
    let key = namespace.secret_text("a-credentials", "sharedAccessKey").await;

    namespace.change::<IoTDevice>("a", json!({"spec": {"blocked": true}})).await;
    let device = namespace
        .wait("a", "it is blocked", |device: &IoTDevice| is(device, "Ready", "False", "Blocked"))
        .await;
    assert_eq!(state(&device), Some(ProvisioningState::Blocked));
    assert!(is(&device, "Connected", "False", "Blocked") && is(&device, "Stalled", "True", "Blocked"));
    namespace.wait_gone::<StatefulSet>("a-agent").await;
    namespace.wait_gone::<Secret>("a-credentials").await;
    assert!(
        namespace.api::<ConfigMap>().get_opt("a-agent").await.unwrap().is_some(),
        "the configuration stays"
    );

    namespace.change::<IoTDevice>("a", json!({"spec": {"blocked": null}})).await;
    let device = issued(&namespace, "a").await;
    assert_eq!(state(&device), Some(ProvisioningState::Registered));
    assert_eq!(namespace.secret_text("a-credentials", "sharedAccessKey").await, key);
    namespace.wait("a-agent", "it is back", |_: &StatefulSet| true).await;
}

/// Two pods of one device never are: the new agent waits for the old one, however long that takes.
#[tokio::test]
async fn unblocking_waits_for_the_previous_pod() {
    let namespace = Namespace::new("waiting").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "  agent: {nodeSelector: {line: nowhere}}")).await;
    let pod = namespace.wait("a-agent-0", "it is made", |_: &Pod| true).await;
    // As if its node did not answer.
    let held = json!({"metadata": {"finalizers": ["lanyard.dev/test"]}});
    namespace.change::<Pod>("a-agent-0", held).await;
    namespace.change::<IoTDevice>("a", json!({"spec": {"blocked": true}})).await;
    namespace.wait_gone::<StatefulSet>("a-agent").await;
    namespace.wait("a-agent-0", "it ends", |pod: &Pod| pod.metadata.deletion_timestamp.is_some()).await;

    namespace.change::<IoTDevice>("a", json!({"spec": {"blocked": false}})).await;
    namespace.wait("a", "it waits", |device: &IoTDevice| is(device, "AgentReady", "False", "Waiting")).await;
    assert!(namespace.api::<StatefulSet>().get_opt("a-agent").await.unwrap().is_none());
    namespace.change::<Pod>("a-agent-0", json!({"metadata": {"finalizers": null}})).await;
    namespace
        .wait("a-agent-0", "another one is there", |other: &Pod| other.metadata.uid != pod.metadata.uid)
        .await;
}

/// A hub that a device was at is remembered while it is blocked.
#[tokio::test]
async fn unblocking_returns_to_provisioned() {
    let namespace = Namespace::new("blocked").await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "  blocked: true")).await;
    // As if it had been at the hub before.
    let status = json!({"status": {"observedGeneration": 1, "assignedHub": "hub.example", "provisioningState": "Blocked"}});
    let api = namespace.api::<IoTDevice>();
    api.patch_status("a", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&status))
        .await
        .unwrap();
    let _operator = Operator::start(&[&namespace]).await;
    let device = namespace
        .wait("a", "it is blocked", |device: &IoTDevice| is(device, "Ready", "False", "Blocked"))
        .await;
    assert_eq!(device.status.unwrap().assigned_hub.as_deref(), Some("hub.example"));
    namespace.change::<IoTDevice>("a", json!({"spec": {"blocked": false}})).await;
    let device = issued(&namespace, "a").await;
    assert_eq!(state(&device), Some(ProvisioningState::Provisioned));
}
