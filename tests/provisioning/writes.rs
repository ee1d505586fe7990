//! An unchanged object costs no API write: shown by resourceVersions and by the API server's own request metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::Namespace;
use lanyard_tests::process::eventually;

use crate::operator::{ACCOUNT, Operator, is, issued};
use crate::yaml::{group, member};

/// Counter of one ServiceAccount's writes: the API server counts requests by flow, and this is a flow of these only.
struct Writes {
    client: Client,
    name: String,
}

impl Writes {
    async fn of(namespace: &Namespace) -> Self {
        let name = format!("{}-writes", namespace.name);
        let flow = serde_json::json!({
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": name},
            "spec": {
                "matchingPrecedence": 100,
                "priorityLevelConfiguration": {"name": "workload-low"},
                "rules": [{
                    "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": ACCOUNT, "namespace": namespace.name}}],
                    // All but the Lease, which is renewed for ever.
                    "resourceRules": [{
                        "verbs": ["create", "update", "patch", "delete", "deletecollection"],
                        "apiGroups": ["", "apps", "lanyard.dev", "events.k8s.io"], "resources": ["*"], "namespaces": ["*"]
                    }]
                }]
            }
        });
        let flow: FlowSchema = serde_json::from_value(flow).unwrap();
        Api::<FlowSchema>::all(namespace.client.clone()).create(&PostParams::default(), &flow).await.unwrap();
        Self { client: namespace.client.clone(), name }
    }

    async fn count(&self) -> f64 {
        let request = kube::core::Request::new("/metrics").list(&ListParams::default()).unwrap();
        let text = self.client.request_text(request).await.unwrap();
        let label = format!("flow_schema=\"{}\"", self.name);
        let lines = text.lines().filter(|line| {
            line.starts_with("apiserver_flowcontrol_dispatched_requests_total{") && line.contains(&label)
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    async fn forget(self) {
        let _ = Api::<FlowSchema>::all(self.client).delete(&self.name, &DeleteParams::default()).await;
    }
}

async fn versions(namespace: &Namespace) -> BTreeMap<String, String> {
    async fn add<K>(namespace: &Namespace, into: &mut BTreeMap<String, String>)
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + serde::de::DeserializeOwned
            + std::fmt::Debug,
    {
        for object in namespace.api::<K>().list(&ListParams::default()).await.unwrap() {
            into.insert(
                format!("{} {}", K::kind(&()), object.name_any()),
                object.resource_version().unwrap(),
            );
        }
    }
    let mut found = BTreeMap::new();
    add::<IoTDevice>(namespace, &mut found).await;
    add::<ProvisioningGroup>(namespace, &mut found).await;
    add::<Secret>(namespace, &mut found).await;
    add::<ConfigMap>(namespace, &mut found).await;
    add::<StatefulSet>(namespace, &mut found).await;
    found
}

/// Returns whether the device's pod has reached its last state: without a node or without an image.
fn settled(device: &IoTDevice) -> bool {
    is(device, "AgentReady", "False", "AgentUnschedulable")
        || is(device, "AgentReady", "False", "AgentImageUnavailable")
}

#[tokio::test]
async fn a_second_reconcile_writes_nothing() {
    let namespace = Namespace::new("writes").await;
    let writes = Writes::of(&namespace).await;
    let names = ["a", "b", "c", "d", "e"];
    let first = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    for name in names {
        // Text that the API server writes differently must not look like a difference.
        namespace
            .apply(&member(
                name,
                "  agent: {resources: {requests: {cpu: '0.005', memory: 1024Ki}, limits: \
            {memory: '67108864'}}}",
            ))
            .await;
    }
    for name in names {
        issued(&namespace, name).await;
        namespace.wait(name, "its pod is where it stays", settled).await;
    }
    first.until_quiet();
    let counted = writes.count().await;
    assert!(counted >= 20.0, "the counter counts: {counted}");
    drop(first);

    // A new process remembers nothing, so it looks at everything.
    let before = versions(&namespace).await;
    let counted = writes.count().await;
    let second = Operator::start(&[&namespace]).await;
    eventually("everything has been looked at", Duration::from_secs(30), || {
        let devices = second.metric("lanyard_operator_reconciles_total", "kind=\"IoTDevice\"");
        let groups = second.metric("lanyard_operator_reconciles_total", "kind=\"ProvisioningGroup\"");
        (devices >= 5.0 && groups >= 1.0).then_some(())
    });
    assert_eq!(second.metric("lanyard_operator_api_writes_total", ""), 0.0, "{}", second.page("/metrics").1);
    assert_eq!(versions(&namespace).await, before);
    assert_eq!(writes.count().await, counted);
    writes.forget().await;
}
