//! A device of a group with approval Manual gets nothing before its approval.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use lanyard_crds::status::ProvisioningState;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::Namespace;
use serde_json::json;

use crate::operator::{Operator, condition, is, issued};
use crate::yaml::{group, member};

fn state(device: &IoTDevice) -> Option<ProvisioningState> {
    device.status.as_ref().and_then(|status| status.provisioning_state)
}

async fn waits(namespace: &Namespace, name: &str) -> IoTDevice {
    namespace
        .wait(name, "it waits for approval", |device: &IoTDevice| {
            is(device, "Ready", "False", "WaitingForApproval")
                && is(device, "Reconciling", "True", "WaitingForApproval")
        })
        .await
}

#[tokio::test]
async fn a_device_waits_until_it_is_approved() {
    let namespace = Namespace::new("approval").await;
    let operator = Operator::start(&[&namespace]).await;
    namespace.apply(&format!("{}  approval: Manual\n", group())).await;
    namespace.apply(&member("a", "")).await;
    namespace.apply(&member("b", "")).await;
    waits(&namespace, "b").await;
    let device = waits(&namespace, "a").await;
    assert_eq!(state(&device), Some(ProvisioningState::WaitingForApproval));
    let message = condition(&device.status.unwrap().conditions, "Ready").unwrap().message.clone();
    assert!(
        message.contains(&format!("kubectl --namespace {} patch iotdevice a --type merge", namespace.name)),
        "{message}"
    );
    assert!(namespace.api::<Secret>().get_opt("a-credentials").await.unwrap().is_none());
    assert!(namespace.api::<StatefulSet>().get_opt("a-agent").await.unwrap().is_none());
    namespace
        .wait("plant", "it counts them", |group: &ProvisioningGroup| {
            let devices = group.status.as_ref().and_then(|status| status.devices);
            devices.is_some_and(|devices| (devices.total, devices.waiting_for_approval) == (2, 2))
        })
        .await;
    assert_eq!(operator.metric("lanyard_operator_devices", "WaitingForApproval"), 2.0);

    // What the command does.
    namespace.change::<IoTDevice>("a", json!({"spec": {"approved": true}})).await;
    let device = issued(&namespace, "a").await;
    assert_eq!(state(&device), Some(ProvisioningState::Registered));
    namespace.wait("a-agent", "it has an agent", |_: &StatefulSet| true).await;
    waits(&namespace, "b").await;

    // Blocked and back: it need not be approved again, even if approved was taken back.
    namespace.change::<IoTDevice>("a", json!({"spec": {"approved": null, "blocked": true}})).await;
    let device = namespace
        .wait("a", "it is blocked", |device: &IoTDevice| is(device, "Ready", "False", "Blocked"))
        .await;
    assert_eq!(device.status.unwrap().state_before_block, Some(ProvisioningState::Registered));
    namespace.change::<IoTDevice>("a", json!({"spec": {"blocked": null}})).await;
    let device = issued(&namespace, "a").await;
    assert_eq!(state(&device), Some(ProvisioningState::Registered));
    assert_eq!(device.status.unwrap().state_before_block, None);

    // A device that was blocked before it was approved returns to waiting.
    namespace.change::<IoTDevice>("b", json!({"spec": {"blocked": true}})).await;
    namespace.wait("b", "it is blocked", |device: &IoTDevice| is(device, "Ready", "False", "Blocked")).await;
    namespace.change::<IoTDevice>("b", json!({"spec": {"blocked": false}})).await;
    waits(&namespace, "b").await;
}

/// An edit of one word must not take a whole fleet off its hub.
#[tokio::test]
async fn credentials_stay_when_approval_becomes_manual() {
    let namespace = Namespace::new("approval").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    let device = issued(&namespace, "a").await;
    let uid = namespace.api::<Secret>().get("a-credentials").await.unwrap().metadata.uid;
    namespace.change::<ProvisioningGroup>("plant", json!({"spec": {"approval": "Manual"}})).await;
    namespace.apply(&member("b", "")).await;
    waits(&namespace, "b").await;
    let again = namespace.api::<IoTDevice>().get("a").await.unwrap();
    assert!(is(&again, "CredentialsReady", "True", "Issued"));
    assert_eq!(again.metadata.uid, device.metadata.uid);
    assert_eq!(namespace.api::<Secret>().get("a-credentials").await.unwrap().metadata.uid, uid);

    namespace.change::<ProvisioningGroup>("plant", json!({"spec": {"approval": "Automatic"}})).await;
    issued(&namespace, "b").await;
}
