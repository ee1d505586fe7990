//! One identity, one object; and what belongs to another program is not touched.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use lanyard_crds::IoTDevice;
use lanyard_tests::kubernetes::Namespace;

use crate::operator::{Operator, condition, is, issued};
use crate::yaml::{K32, at_hub, group, member, secret};

#[tokio::test]
async fn objects_with_another_owner_are_not_changed() {
    let namespace = Namespace::new("conflict").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&secret("a-credentials", "mine", "precious")).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    let device = namespace
        .wait("a", "it says Conflict", |device: &IoTDevice| is(device, "Stalled", "True", "Conflict"))
        .await;
    let text = &condition(&device.status.as_ref().unwrap().conditions, "CredentialsReady").unwrap().message;
    assert!(
        text.contains("Secret a-credentials belongs to another program")
            && text.contains("credentials.secretName"),
        "{text}"
    );
    let untouched = namespace.api::<Secret>().get("a-credentials").await.unwrap();
    assert_eq!(untouched.data.unwrap().len(), 1);
    assert!(untouched.metadata.owner_references.is_none());
    // Nor is it mounted into anybody's pod.
    assert!(namespace.api::<StatefulSet>().get_opt("a-agent").await.unwrap().is_none());
    // The user takes his own away, and the device goes on.
    namespace.api::<Secret>().delete("a-credentials", &DeleteParams::default()).await.unwrap();
    issued(&namespace, "a").await;

    let foreign = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: b-agent}
spec:
  replicas: 0
  selector: {matchLabels: {app: other}}
  template: {metadata: {labels: {app: other}}, spec: {containers: [{name: c, image: i}]}}
";
    namespace.apply(foreign).await;
    namespace.apply(&member("b", "")).await;
    let device = namespace
        .wait("b", "it says Conflict", |device: &IoTDevice| is(device, "AgentReady", "False", "Conflict"))
        .await;
    assert!(is(&device, "CredentialsReady", "True", "Issued"), "the credentials do not depend on the agent");
    let untouched = namespace.api::<StatefulSet>().get("b-agent").await.unwrap();
    assert_eq!(untouched.spec.unwrap().replicas, Some(0));
}

#[tokio::test]
async fn older_claim_wins() {
    let one = Namespace::new("claims").await;
    let other = Namespace::new("claims").await;
    let _operator = Operator::start(&[&one, &other]).await;
    one.apply(&group()).await;
    other.apply(&group()).await;
    one.apply(&member("first", "  deviceId: Same")).await;
    issued(&one, "first").await;
    // Creation times have seconds only.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    // DPS compares without case, in whatever namespace the device is.
    other.apply(&member("second", "  deviceId: same")).await;
    let second = other
        .wait("second", "it is stalled", |device: &IoTDevice| {
            is(device, "Stalled", "True", "DuplicateDeviceId")
        })
        .await;
    let text = &condition(&second.status.as_ref().unwrap().conditions, "Ready").unwrap().message;
    // The object of another namespace is not named.
    assert!(text.contains("in another namespace") && !text.contains(&one.name), "{text}");
    assert!(other.api::<StatefulSet>().get_opt("second-agent").await.unwrap().is_none());
    assert!(other.api::<Secret>().get_opt("second-credentials").await.unwrap().is_none());
    assert!(is(&one.api::<IoTDevice>().get("first").await.unwrap(), "CredentialsReady", "True", ""));
    // The younger takes over when the older is gone.
    one.api::<IoTDevice>().delete("first", &DeleteParams::default()).await.unwrap();
    issued(&other, "second").await;
}

#[tokio::test]
async fn the_same_id_at_another_hub_is_another_device() {
    let namespace = Namespace::new("hubs").await;
    let _operator = Operator::start(&[&namespace]).await;
    for (name, hub) in [("a", "one.example"), ("b", "two.example"), ("c", "ONE.example:8883")] {
        namespace.apply(&secret(&format!("{name}-key"), "primaryKey", K32)).await;
        if name == "c" {
            issued(&namespace, "a").await;
            tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        }
        namespace.apply(&at_hub(name, hub, "  deviceId: d")).await;
    }
    issued(&namespace, "a").await;
    issued(&namespace, "b").await;
    namespace
        .wait("c", "it is stalled", |device: &IoTDevice| is(device, "Stalled", "True", "DuplicateDeviceId"))
        .await;
    // A hub's name cannot be changed: another object for another hub ends the conflict.
    namespace.api::<IoTDevice>().delete("c", &DeleteParams::default()).await.unwrap();
    namespace.wait_gone::<IoTDevice>("c").await;
    namespace.apply(&at_hub("c", "three.example", "  deviceId: d")).await;
    issued(&namespace, "c").await;
}
