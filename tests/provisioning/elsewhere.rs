//! A device that something else connects has credentials and no agent.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use lanyard_crds::status::ConnectionState;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::Namespace;
use serde_json::json;

use crate::operator::{Operator, is};
use crate::yaml::{group, member};

async fn ready_without_agent(namespace: &Namespace, name: &str) -> IoTDevice {
    namespace
        .wait(name, "it is ready without an agent", |device: &IoTDevice| {
            is(device, "Ready", "True", "Issued")
                && is(device, "AgentReady", "True", "NoAgent")
                && is(device, "Connected", "Unknown", "NoAgent")
                && is(device, "Stalled", "False", "")
        })
        .await
}

#[tokio::test]
async fn mode_none_keeps_credentials_and_removes_the_agent() {
    let namespace = Namespace::new("elsewhere").await;
    let operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("never", "  agent: {mode: None}")).await;
    let device = ready_without_agent(&namespace, "never").await;
    assert_eq!(device.status.unwrap().connection.unwrap().state, ConnectionState::Unknown);
    namespace.secret_text("never-credentials", "sharedAccessKey").await;
    assert!(namespace.api::<StatefulSet>().get_opt("never-agent").await.unwrap().is_none());
    assert!(namespace.api::<ConfigMap>().get_opt("never-agent").await.unwrap().is_none());

    // One whose agent runs already, by its group. Its node does not answer at first.
    namespace.apply(&member("a", "  agent: {nodeSelector: {line: nowhere}}")).await;
    let pod = namespace.wait("a-agent-0", "it is made", |_: &Pod| true).await;
    namespace.change::<Pod>("a-agent-0", json!({"metadata": {"finalizers": ["lanyard.dev/test"]}})).await;
    let key = namespace.secret_text("a-credentials", "sharedAccessKey").await;
    let none = json!({"spec": {"template": {"agent": {"mode": "None"}}}});
    namespace.change::<ProvisioningGroup>("plant", none).await;
    namespace.change::<IoTDevice>("a", json!({"spec": {"agent": null}})).await;
    namespace.wait_gone::<StatefulSet>("a-agent").await;
    namespace.wait_gone::<ConfigMap>("a-agent").await;
    namespace
        .wait("a", "the agent ends", |device: &IoTDevice| is(device, "AgentReady", "False", "AgentEnding"))
        .await;
    namespace.change::<Pod>("a-agent-0", json!({"metadata": {"finalizers": null}})).await;
    let before = ready_without_agent(&namespace, "a").await;
    assert_eq!(namespace.secret_text("a-credentials", "sharedAccessKey").await, key);

    // An operator that remembers nothing finds nothing to do.
    operator.until_quiet();
    drop(operator);
    let second = Operator::start(&[&namespace]).await;
    lanyard_tests::process::eventually(
        "everything was looked at",
        std::time::Duration::from_secs(30),
        || {
            let looks = second.metric("lanyard_operator_reconciles_total", "kind=\"IoTDevice\"");
            (looks >= 2.0).then_some(())
        },
    );
    assert_eq!(second.metric("lanyard_operator_api_writes_total", ""), 0.0, "{}", second.page("/metrics").1);
    let after = namespace.api::<IoTDevice>().get("a").await.unwrap();
    assert_eq!(after.resource_version(), before.resource_version());

    // And back.
    namespace.change::<IoTDevice>("a", json!({"spec": {"agent": {"mode": "Dedicated"}}})).await;
    namespace.wait("a-agent-0", "another agent is there", |other: &Pod| other.uid() != pod.uid()).await;
}
