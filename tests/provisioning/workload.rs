//! StatefulSet and pod of an agent: valid names, reported refusals, and recreation after a change of immutable
//! fields.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use lanyard_crds::IoTDevice;
use lanyard_tests::kubernetes::{Namespace, within};

use crate::operator::{Operator, condition, is};
use crate::yaml::{group, member};

async fn pod_of(namespace: &Namespace, device: &str) -> Pod {
    let of_it = ListParams::default().labels(&format!("lanyard.dev/device={device}"));
    within("the pod is there", async {
        loop {
            if let Some(pod) = namespace.api::<Pod>().list(&of_it).await.unwrap().items.pop() {
                return pod;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await
}

/// Kubernetes appends to the names of StatefulSets, and their pods' names have no dots.
#[tokio::test]
async fn every_name_that_a_device_can_have_gives_a_pod() {
    let namespace = Namespace::new("names").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    let long = "d".repeat(63);
    for (device, start) in [("d", "d-agent-0"), ("press.17", "press-17-agent-"), (&long, "ddddd")] {
        namespace.apply(&member(device, "")).await;
        let pod = pod_of(&namespace, device).await;
        assert!(pod.name_any().starts_with(start), "{}", pod.name_any());
        assert!(pod.labels().contains_key("controller-revision-hash"), "{:?}", pod.labels());
        assert_eq!(pod.labels()["statefulset.kubernetes.io/pod-name"], pod.name_any());
    }
}

/// A StatefulSet has no condition for it, but its events tell.
#[tokio::test]
async fn refused_pod_is_reported_and_created_later() {
    let namespace = Namespace::new("quota").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace
        .apply("\napiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none}\nspec: {hard: {pods: '0'}}\n")
        .await;
    namespace
        .wait("none", "it is in force", |quota: &ResourceQuota| {
            quota.status.as_ref().is_some_and(|status| status.hard.is_some())
        })
        .await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    let device = namespace
        .wait("a", "the quota is reported", |device: &IoTDevice| {
            is(device, "AgentReady", "False", "AgentPodRefused")
        })
        .await;
    let text = &condition(&device.status.as_ref().unwrap().conditions, "AgentReady").unwrap().message;
    assert!(text.contains("pods \"a-agent-0\" is forbidden: exceeded quota: none"), "{text}");
    namespace.api::<ResourceQuota>().delete("none", &DeleteParams::default()).await.unwrap();
    pod_of(&namespace, "a").await;
    namespace
        .wait("a", "the quota is forgotten", |device: &IoTDevice| {
            !is(device, "AgentReady", "False", "AgentPodRefused")
        })
        .await;
}

/// As another version of the operator might have left it: a write would be refused for ever.
#[tokio::test]
async fn workload_with_immutable_difference_is_recreated() {
    let namespace = Namespace::new("recreated").await;
    let operator = Operator::start(&[&namespace]).await;
    // Its group is missing, so that nothing is made yet.
    namespace.apply(&member("a", "")).await;
    let device = namespace
        .wait("a", "it waits for its group", |device: &IoTDevice| {
            is(device, "Ready", "False", "GroupNotFound")
        })
        .await;
    namespace
        .apply(&format!(
            "
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: a-agent
  labels: {{lanyard.dev/device: a}}
  ownerReferences:
    - {{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, name: a, uid: {}, controller: true}}
spec:
  replicas: 0
  serviceName: former
  selector: {{matchLabels: {{app: former}}}}
  template: {{metadata: {{labels: {{app: former}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}
",
            device.uid().unwrap()
        ))
        .await;
    let former = namespace.api::<StatefulSet>().get("a-agent").await.unwrap();
    namespace.apply(&group()).await;
    let made = namespace
        .wait("a-agent", "it is recreated", |workload: &StatefulSet| workload.uid() != former.uid())
        .await;
    assert_eq!(made.spec.unwrap().pod_management_policy.as_deref(), Some("Parallel"));
    assert_eq!(pod_of(&namespace, "a").await.name_any(), "a-agent-0");
    let writes = |verb: &str| {
        operator.metric("lanyard_operator_api_writes_total", &format!("kind=\"StatefulSet\",verb=\"{verb}\""))
    };
    assert_eq!((writes("delete"), writes("apply")), (1.0, 1.0));
}
