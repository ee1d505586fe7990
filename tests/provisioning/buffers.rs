//! Volumes of buffers: which pod gets which, and what becomes of claims when devices come, change and go.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Volume as PodVolume};
use kube::ResourceExt;
use kube::api::DeleteParams;
use lanyard_crds::IoTDevice;
use lanyard_tests::kubernetes::Namespace;
use lanyard_tests::volume::Volume;
use serde_json::json;

use crate::examples::{apply_examples, apply_folder};
use crate::operator::{Operator, condition, is, issued};
use crate::yaml::{group, member};

fn of_pod(workload: &StatefulSet) -> &PodVolume {
    let pod = workload.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    pod.volumes.iter().flatten().find(|volume| volume.name == "buffer").unwrap()
}

fn claimed(workload: &StatefulSet) -> Option<&str> {
    of_pod(workload).persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str())
}

fn size(claim: &PersistentVolumeClaim) -> &str {
    &claim.spec.as_ref().unwrap().resources.as_ref().unwrap().requests.as_ref().unwrap()["storage"].0
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound"))
}

async fn shown(namespace: &Namespace, words: &str) {
    let expected = format!("{words:?}");
    namespace
        .wait("a-agent", &format!("its configuration has {words}"), |map: &ConfigMap| {
            map.data.as_ref().unwrap()["agent.yaml"].contains(&expected)
        })
        .await;
}

async fn wait_for(namespace: &Namespace, status: &str, reason: &str) -> String {
    let device =
        namespace.wait("a", reason, |device: &IoTDevice| is(device, "AgentReady", status, reason)).await;
    condition(&device.status.unwrap().conditions, "AgentReady").unwrap().message.clone()
}

#[tokio::test]
async fn every_example_gets_its_volume() {
    let namespace = Namespace::new("buffers").await;
    let _operator = Operator::start(&[&namespace]).await;
    apply_examples(&namespace).await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/examples/buffers");
    apply_folder(&namespace, &folder).await;
    let volume = async |device: &str| {
        namespace.wait(&format!("{device}-agent"), "it is there", |_: &StatefulSet| true).await
    };
    assert_eq!(claimed(&volume("mill-51").await), Some("mill-51-agent-buffer"));
    let claim = namespace.wait("mill-51-agent-buffer", "it is there", |_: &PersistentVolumeClaim| true).await;
    assert_eq!((size(&claim), claim.labels()["lanyard.dev/device"].as_str()), ("11584Mi", "mill-51"));
    assert!(claim.owner_references().is_empty(), "it stays when its device goes");
    let folder = volume("mill-52").await;
    let limit = of_pod(&folder).empty_dir.as_ref().unwrap().size_limit.clone();
    assert_eq!((claimed(&folder), limit.unwrap().0.as_str()), (None, "136Mi"));
    assert_eq!(claimed(&volume("mill-53").await), Some("line-5-buffers"));
    let theirs = namespace.api::<PersistentVolumeClaim>().get("line-5-buffers").await.unwrap();
    let labels: Vec<_> = theirs.labels().keys().map(String::as_str).collect();
    assert_eq!(
        (labels, size(&theirs)),
        (vec!["lanyard.dev/buffer"], "20Gi"),
        "the operator does not touch it"
    );
}

#[tokio::test]
async fn claim_is_kept_or_deleted_with_its_device() {
    let namespace = Namespace::new("claim").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    let before = namespace.wait("a-agent", "it is there", |_: &StatefulSet| true).await;
    assert_eq!(claimed(&before), None);

    // From a folder to a claim the StatefulSet stays the same one.
    let class = "storageClassName: nobodys";
    let kept = member("a", &format!("  buffer: {{storage: {{claim: {{{class}}}}}}}"));
    namespace.apply(&kept).await;
    let moved = namespace
        .wait("a-agent", "it has the claim", |workload: &StatefulSet| claimed(workload).is_some())
        .await;
    assert_eq!((moved.uid(), claimed(&moved)), (before.uid(), Some("a-agent-buffer")));
    let claim = |what: &'static str, met: fn(&PersistentVolumeClaim) -> bool| {
        namespace.wait("a-agent-buffer", what, met)
    };
    let uid = claim("it is there", |_| true).await.uid().unwrap();

    // Who deletes it gets another one.
    namespace
        .api::<PersistentVolumeClaim>()
        .delete("a-agent-buffer", &DeleteParams::default())
        .await
        .unwrap();
    let recreated = namespace
        .wait("a-agent-buffer", "it is recreated", |claim: &PersistentVolumeClaim| {
            claim.uid().as_ref() != Some(&uid)
        })
        .await;

    namespace.change::<IoTDevice>("a", json!({"spec": {"blocked": true}})).await;
    namespace.wait_gone::<StatefulSet>("a-agent").await;
    namespace.change::<IoTDevice>("a", json!({"spec": {"blocked": null}})).await;
    namespace.wait("a-agent", "it is back", |workload: &StatefulSet| claimed(workload).is_some()).await;
    namespace.api::<IoTDevice>().delete("a", &DeleteParams::default()).await.unwrap();
    namespace.wait_gone::<StatefulSet>("a-agent").await;
    namespace.wait_gone::<ConfigMap>("a-agent").await;
    namespace.apply(&kept).await;
    issued(&namespace, "a").await;
    namespace.wait("a-agent", "it is back", |workload: &StatefulSet| claimed(workload).is_some()).await;
    assert_eq!(claim("it was never gone", |_| true).await.uid(), recreated.uid());

    let passing = member("a", &format!("  buffer: {{storage: {{claim: {{{class}, whenDeleted: Delete}}}}}}"));
    namespace.apply(&passing).await;
    claim("it has an owner", |claim| !claim.owner_references().is_empty()).await;
    namespace.apply(&kept).await;
    claim("it has none any more", |claim| claim.owner_references().is_empty()).await;
    namespace.apply(&passing).await;
    claim("it has an owner again", |claim| !claim.owner_references().is_empty()).await;
    namespace.api::<IoTDevice>().delete("a", &DeleteParams::default()).await.unwrap();
    namespace.wait_gone::<PersistentVolumeClaim>("a-agent-buffer").await;
}

#[tokio::test]
async fn a_claim_grows_where_its_class_allows_it_and_never_shrinks() {
    let (grows, fixed) = (Volume::new("grows", true), Volume::new("fixed", false));
    let namespace = Namespace::new("growth").await;
    let operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    let with = async |capacity: &str, class: &str| {
        let buffer =
            format!("  buffer: {{capacity: {capacity}, storage: {{claim: {{storageClassName: {class}}}}}}}");
        namespace.apply(&member("a", &buffer)).await;
    };
    with("64Mi", &grows.class).await;
    namespace.wait("a-agent-buffer", "it is bound", is_bound).await;
    with("128Mi", &grows.class).await;
    namespace
        .wait("a-agent-buffer", "it has grown", |claim: &PersistentVolumeClaim| size(claim) == "208Mi")
        .await;
    shown(&namespace, "128Mi").await;
    with("64Mi", &grows.class).await;
    shown(&namespace, "64Mi").await;
    operator.until_quiet();
    let claim = namespace.api::<PersistentVolumeClaim>().get("a-agent-buffer").await.unwrap();
    assert_eq!(size(&claim), "208Mi", "it never shrinks");

    // An immutable difference is reported and changes nothing; so is its correction.
    with("65Mi", &fixed.class).await;
    let text = wait_for(&namespace, "False", "ClaimImmutable").await;
    assert!(text.contains(&grows.class) && text.contains("kubectl delete pvc a-agent-buffer"), "{text}");
    shown(&namespace, "64Mi").await;
    // As the message says.
    namespace
        .api::<PersistentVolumeClaim>()
        .delete("a-agent-buffer", &DeleteParams::default())
        .await
        .unwrap();
    let _ = namespace
        .api::<k8s_openapi::api::core::v1::Pod>()
        .delete("a-agent-0", &DeleteParams::default())
        .await;
    namespace
        .wait("a-agent-buffer", "it is recreated, and bound", |claim: &PersistentVolumeClaim| {
            claim.spec.as_ref().unwrap().storage_class_name.as_ref() == Some(&fixed.class) && is_bound(claim)
        })
        .await;
    shown(&namespace, "65Mi").await;

    // This class cannot grow.
    with("256Mi", &fixed.class).await;
    let text = wait_for(&namespace, "False", "Refused").await;
    assert!(text.contains("must support resize"), "{text}");
    shown(&namespace, "65Mi").await;
    with("65Mi", &fixed.class).await;
    namespace
        .wait("a", "the refusal is forgotten", |device: &IoTDevice| {
            is(device, "AgentReady", "False", "") && !is(device, "AgentReady", "False", "Refused")
        })
        .await;
}

#[tokio::test]
async fn claim_of_another_program_is_not_changed() {
    let namespace = Namespace::new("claimed").await;
    let _operator = Operator::start(&[&namespace]).await;
    let theirs = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a-agent-buffer}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}, storageClassName: nobodys}
";
    namespace.apply(theirs).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "  buffer: {storage: {claim: {}}}")).await;
    let text = wait_for(&namespace, "False", "Conflict").await;
    assert!(text.contains("PersistentVolumeClaim a-agent-buffer belongs to another program"), "{text}");
    namespace.wait_gone::<StatefulSet>("a-agent").await;
    namespace
        .api::<PersistentVolumeClaim>()
        .delete("a-agent-buffer", &DeleteParams::default())
        .await
        .unwrap();
    namespace
        .wait("a-agent-buffer", "it is the device's", |claim: &PersistentVolumeClaim| {
            claim.labels().contains_key("lanyard.dev/device")
        })
        .await;
}
