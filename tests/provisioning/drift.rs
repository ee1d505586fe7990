//! Changes and deletions of the operator's objects are repaired; additional fields stay.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::DeleteParams;
use lanyard_crds::IoTDevice;
use lanyard_tests::kubernetes::{Namespace, secret_text};
use serde_json::json;

use crate::authority::{Authority, usual};
use crate::operator::{IMAGE, Operator, issued};
use crate::yaml::{group, member};

#[tokio::test]
async fn drift_is_repaired() {
    let namespace = Namespace::new("drift").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    issued(&namespace, "a").await;
    let key = namespace.secret_text("a-credentials", "sharedAccessKey").await;

    let patch = json!({"spec": {"replicas": 3, "updateStrategy": {"type": "OnDelete", "rollingUpdate": null}},
        "metadata": {"labels": {"mine": "yes"}}});
    namespace.change::<StatefulSet>("a-agent", patch).await;
    let patch =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "evil:1"}]}}}});
    namespace.change::<StatefulSet>("a-agent", patch).await;
    let repaired = namespace
        .wait("a-agent", "it is as it was", |workload: &StatefulSet| {
            let spec = workload.spec.as_ref().unwrap();
            let pod = spec.template.spec.as_ref().unwrap();
            spec.replicas == Some(1)
                && spec.update_strategy.as_ref().unwrap().type_.as_deref() == Some("RollingUpdate")
                && pod.containers[0].image.as_deref() == Some(IMAGE)
                && pod.containers[0].args.is_some()
        })
        .await;
    assert_eq!(repaired.labels()["mine"], "yes", "what others add stays");

    namespace.change::<Secret>("a-credentials", json!({"data": {"sharedAccessKey": "b3RoZXI="}})).await;
    namespace
        .wait("a-credentials", "it is as it was", |secret: &Secret| {
            secret_text(secret, "sharedAccessKey") == key
        })
        .await;
    namespace
        .change::<Secret>("a-credentials", json!({"metadata": {"labels": {"lanyard.dev/device": null}}}))
        .await;
    namespace
        .wait("a-credentials", "its label is back", |secret: &Secret| {
            secret.labels().contains_key("lanyard.dev/device")
        })
        .await;

    namespace.change::<ConfigMap>("a-agent", json!({"data": {"agent.yaml": "version: 9"}})).await;
    namespace
        .wait("a-agent", "it is as it was", |map: &ConfigMap| {
            map.data.as_ref().unwrap()["agent.yaml"].contains("\"deviceId\": \"a\"")
        })
        .await;

    let uid = namespace.api::<Secret>().get("a-credentials").await.unwrap().uid();
    let spoilt = json!({"immutable": true, "data": {"sharedAccessKey": "b3RoZXI="}});
    namespace.change::<Secret>("a-credentials", spoilt).await;
    let whole = |secret: &Secret| secret.uid() != uid && secret_text(secret, "sharedAccessKey") == key;
    namespace.wait("a-credentials", "it is recreated", whole).await;

    let uid = namespace.api::<StatefulSet>().get("a-agent").await.unwrap().uid();
    namespace.api::<ConfigMap>().delete("a-agent", &DeleteParams::default()).await.unwrap();
    namespace.wait("a-agent", "it is back", |_: &ConfigMap| true).await;
    namespace.api::<StatefulSet>().delete("a-agent", &DeleteParams::background()).await.unwrap();
    namespace.wait("a-agent", "it is back", |workload: &StatefulSet| workload.uid() != uid).await;
}

#[tokio::test]
async fn unneeded_objects_are_deleted() {
    let namespace = Namespace::new("shrink").await;
    let _operator = Operator::start(&[&namespace]).await;
    let [pem, next] =
        ["Plant CA", "Plant CA 2"].map(|name| Authority::root(usual(name)).pem.replace("\r\n", "\n"));
    let ca =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": pem}});
    namespace.apply(&ca.to_string()).await;
    namespace.apply(&group()).await;
    let with_ca = crate::yaml::group_without_secret().replace(
        "endpoint: localhost",
        "endpoint: localhost, trustedCA: {configMapKeyRef: {name: ca, key: ca.crt}}",
    );
    namespace.apply(&with_ca).await;
    namespace.apply(&member("a", "  agent: {nodeSelector: {line: one}}")).await;
    issued(&namespace, "a").await;
    assert_eq!(namespace.secret_text("a-credentials", "ca.crt").await, pem);
    // A changed CA arrives too.
    namespace.change::<ConfigMap>("ca", json!({"data": {"ca.crt": next}})).await;
    namespace
        .wait("a-credentials", "it has the new CA", |secret: &Secret| secret_text(secret, "ca.crt") == next)
        .await;

    namespace.apply(&crate::yaml::group_without_secret()).await;
    namespace
        .wait("a-credentials", "it has no CA any more", |secret: &Secret| {
            !secret.data.as_ref().unwrap().contains_key("ca.crt")
        })
        .await;
    namespace.apply(&member("a", "")).await;
    namespace
        .wait("a-agent", "it selects nodes by their system only", |workload: &StatefulSet| {
            let pod = workload.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
            pod.node_selector.as_ref().is_some_and(|selector| selector.keys().eq(["kubernetes.io/os"]))
        })
        .await;
    let device = namespace.api::<IoTDevice>().get("a").await.unwrap();
    assert_eq!(device.status.unwrap().credentials.unwrap().secret_name, "a-credentials");
}

/// Two who want different things must not write as fast as they can.
#[tokio::test]
async fn repeated_drift_is_repaired_more_slowly() {
    let namespace = Namespace::new("contested").await;
    let operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    issued(&namespace, "a").await;
    let writes =
        || operator.metric("lanyard_operator_api_writes_total", "kind=\"StatefulSet\",verb=\"apply\"");
    let contested = async {
        loop {
            namespace.change::<StatefulSet>("a-agent", json!({"spec": {"replicas": 2}})).await;
            let device = namespace.api::<IoTDevice>().get("a").await.unwrap();
            if crate::operator::is(&device, "AgentReady", "False", "Contested") {
                return;
            }
        }
    };
    lanyard_tests::kubernetes::within("the conflict is reported", contested).await;
    assert!(writes() < 12.0, "{}", writes());
    // Who gives in is put right.
    let one = |workload: &StatefulSet| workload.spec.as_ref().unwrap().replicas == Some(1);
    namespace.wait("a-agent", "it is as it was", one).await;
    let calm = |device: &IoTDevice| !crate::operator::is(device, "AgentReady", "False", "Contested");
    namespace.wait("a", "the conflict is over", calm).await;
}
