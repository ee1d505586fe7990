//! The operator is killed, is on standby, hands over and is uninstalled; agents continue.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::DeleteParams;
use lanyard_crds::IoTDevice;
use lanyard_tests::kubernetes::Namespace;
use lanyard_tests::process::eventually;

use crate::operator::{IMAGE, Operator, issued};
use crate::yaml::{group, member};

#[tokio::test]
async fn next_operator_completes_interrupted_work() {
    let namespace = Namespace::new("killed").await;
    namespace.apply(&group()).await;
    let mut first = Operator::start(&[&namespace]).await;
    let names: Vec<String> = (0..20).map(|number| format!("d{number}")).collect();
    for name in &names {
        namespace.apply(&member(name, "")).await;
    }
    namespace.wait("d0-credentials", "the first Secret is there", |_: &Secret| true).await;
    first.process.kill();
    // A killed operator lets nothing go: the next one waits until the Lease runs out.
    let _second = Operator::start(&[&namespace]).await;
    for name in &names {
        issued(&namespace, name).await;
        namespace.wait(&format!("{name}-agent"), "it is there", |_: &StatefulSet| true).await;
    }
}

/// A namespace that was deleted takes its Role with it.
#[tokio::test]
async fn unreadable_namespace_does_not_stop_the_others() {
    let namespace = Namespace::new("beside").await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    let _operator = Operator::start_beside(&[&namespace], &["does-not-exist"], IMAGE).await;
    issued(&namespace, "a").await;
}

#[tokio::test]
async fn leader_works_and_hands_over_at_once() {
    let namespace = Namespace::new("leader").await;
    let mut first = Operator::start(&[&namespace]).await;
    let second = Operator::start(&[&namespace]).await;
    assert_eq!(first.metric("lanyard_operator_leader", ""), 1.0);
    assert_eq!(second.metric("lanyard_operator_leader", ""), 0.0);
    assert!(second.page("/readyz").1.contains("standing by"));
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    issued(&namespace, "a").await;
    assert_eq!(second.metric("lanyard_operator_reconciles_total", ""), 0.0);

    let ended = first.process.terminate();
    assert!(ended.success(), "{ended}");
    let lease = namespace.api::<Lease>().get("lanyard-operator").await.unwrap();
    let holder = lease.spec.unwrap().holder_identity.unwrap_or_default();
    // Released, or taken by the other one since: never left to run out.
    assert!(
        !first.process.log().contains(&format!("identity=\"{holder}\"")) || holder.is_empty(),
        "{holder}"
    );
    eventually("the other one works", Duration::from_secs(10), || {
        (second.metric("lanyard_operator_leader", "") == 1.0).then_some(())
    });
    namespace.apply(&member("b", "")).await;
    issued(&namespace, "b").await;
}

#[tokio::test]
async fn a_namespace_with_devices_goes_without_the_operator() {
    let namespace = Namespace::new("uninstall").await;
    let mut operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    for name in ["a", "b", "c"] {
        namespace.apply(&member(name, "")).await;
    }
    for name in ["a", "b", "c"] {
        issued(&namespace, name).await;
    }
    operator.process.terminate();
    let device = namespace.api::<IoTDevice>().get("a").await.unwrap();
    assert_eq!(device.metadata.finalizers, None);
    namespace.delete().await;
}

#[tokio::test]
async fn objects_are_deleted_with_their_device() {
    let namespace = Namespace::new("namesake").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    let first = issued(&namespace, "a").await;
    namespace.api::<IoTDevice>().delete("a", &DeleteParams::default()).await.unwrap();
    namespace.apply(&member("a", "")).await;
    let second = issued(&namespace, "a").await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    let uid = second.metadata.uid.unwrap();
    for name in ["a-agent"] {
        namespace
            .wait(name, "it is the namesake's", |workload: &StatefulSet| {
                workload.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
            })
            .await;
    }
    namespace.api::<IoTDevice>().delete("a", &DeleteParams::default()).await.unwrap();
    namespace.wait_gone::<Secret>("a-credentials").await;
    namespace.wait_gone::<StatefulSet>("a-agent").await;
}

#[tokio::test]
async fn the_agents_image_follows_the_operator() {
    let namespace = Namespace::new("upgrade").await;
    let mut first = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    issued(&namespace, "a").await;
    first.process.terminate();
    let _second = Operator::start_with(&[&namespace], "localhost/none:1").await;
    namespace
        .wait("a-agent", "it has the new image", |workload: &StatefulSet| {
            let pod = workload.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
            pod.is_some_and(|pod| pod.containers[0].image.as_deref() == Some("localhost/none:1"))
        })
        .await;
    // The previous pod never ran: that must not prevent its replacement.
    namespace
        .wait("a-agent-0", "it has the new image", |pod: &Pod| {
            pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("localhost/none:1")
        })
        .await;
}
