//! Settings of agents' pods: from the device, from the operator's defaults, and from a platform that chooses users.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace as K8sNamespace, Pod, Secret};
use kube::api::{ListParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use lanyard_tests::kubernetes::{Namespace, within};
use serde_json::json;

use crate::operator::{IMAGE, Operator};
use crate::yaml::{group, member};

#[tokio::test]
async fn settings_of_the_device_win_over_defaults() {
    let namespace = Namespace::new("settings").await;
    let defaults = json!({
        "nodeSelector": {"zone": "1"}, "labels": {"tier": "edge", "team": "x"}, "logLevel": "warn",
        "env": [{"name": "TZ", "value": "UTC"}], "priorityClassName": "absent"
    });
    let more = [
        format!("--agent-defaults={defaults}"),
        "--agent-image-pull-secret=reg".to_owned(),
        "--common-label=cost=7".to_owned(),
    ];
    let operator = Operator::spawn(&[&namespace], IMAGE, &more).await;
    operator.until_ready();
    namespace.apply(&group()).await;
    namespace
        .apply(&member(
            "a",
            "  agent:
    labels: {team: blue}
    annotations: {note: hello}
    env: [{name: TZ, value: CET}]
    hostAliases: [{ip: 10.0.0.7, hostnames: [edge.plant]}]
    imagePullSecrets: [{name: own}]
    topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: line, operator: Exists}]}]}
",
        ))
        .await;
    let workload = namespace.wait("a-agent", "it is made", |made: &StatefulSet| made.spec.is_some()).await;
    assert_eq!(workload.labels()["cost"], "7");
    let template = serde_json::to_value(workload.spec.unwrap().template).unwrap();
    let has = |pointer: &str, expected: serde_json::Value| {
        assert_eq!(template.pointer(pointer), Some(&expected), "{pointer}\n{template}");
    };
    has("/metadata/labels/team", json!("blue"));
    has("/metadata/labels/tier", json!("edge"));
    has("/metadata/labels/cost", json!("7"));
    has("/metadata/annotations/note", json!("hello"));
    has("/spec/nodeSelector", json!({"zone": "1", "kubernetes.io/os": "linux"}));
    has("/spec/priorityClassName", json!("absent"));
    has("/spec/imagePullSecrets", json!([{"name": "reg"}, {"name": "own"}]));
    has("/spec/containers/0/env", json!([{"name": "TZ", "value": "CET"}]));
    has("/spec/hostAliases", json!([{"ip": "10.0.0.7", "hostnames": ["edge.plant"]}]));
    has(
        "/spec/topologySpreadConstraints/0/labelSelector/matchLabels",
        json!({"app.kubernetes.io/name": "lanyard-agent"}),
    );
    assert!(template.to_string().contains("\"--log-level\",\"warn\""), "{template}");
    assert_eq!(namespace.api::<Secret>().get("a-credentials").await.unwrap().labels()["cost"], "7");
    // What the API server fills in is no drift.
    let writes = operator.metric("lanyard_operator_api_writes_total", "kind=\"StatefulSet\"");
    operator.until_quiet();
    assert_eq!(operator.metric("lanyard_operator_api_writes_total", "kind=\"StatefulSet\""), writes);
}

/// Creates admission policies for one namespace that do as OpenShift's `restricted-v2` does: refuse users that a pod
/// names, and fill in those of the namespace's range. Waits until they are in force; they are deleted with the
/// namespace.
async fn play_scc(namespace: &Namespace) {
    let client = &namespace.client;
    let own = Api::<K8sNamespace>::all(client.clone()).get(&namespace.name).await.unwrap();
    let meta = json!({"name": namespace.name, "ownerReferences": [own.owner_ref(&()).unwrap()]});
    let pods = json!({
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    });
    let only_here = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
    });
    let fill = "Object{spec: Object.spec{securityContext: Object.spec.securityContext{runAsUser: 1000660000, fsGroup: 1000660000}}}";
    let made = PostParams::default();
    let mutating: MutatingAdmissionPolicy = serde_json::from_value(json!({
        "metadata": meta,
        "spec": {
            "matchConstraints": pods, "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConditions": [{"name": "unset", "expression": "!has(object.spec.securityContext.runAsUser)"}],
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": fill}}],
        }
    }))
    .unwrap();
    Api::all(client.clone()).create(&made, &mutating).await.unwrap();
    let refused = "!has(object.spec.securityContext.runAsGroup) && object.spec.securityContext.runAsUser == \
        1000660000 && object.spec.securityContext.fsGroup == 1000660000 && object.spec.containers.all(c, \
        !has(c.securityContext.runAsUser))";
    let validating: ValidatingAdmissionPolicy = serde_json::from_value(json!({
        "metadata": meta,
        "spec": {"matchConstraints": pods, "failurePolicy": "Fail", "validations": [{"expression": refused, "message": "unable \
            to validate against any security context constraint"}]}
    }))
    .unwrap();
    Api::all(client.clone()).create(&made, &validating).await.unwrap();
    let mutates: MutatingAdmissionPolicyBinding = serde_json::from_value(
        json!({"metadata": meta, "spec": {"policyName": namespace.name, "matchResources": only_here}}),
    )
    .unwrap();
    Api::all(client.clone()).create(&made, &mutates).await.unwrap();
    let validates: ValidatingAdmissionPolicyBinding = serde_json::from_value(json!({
        "metadata": meta,
        "spec": {"policyName": namespace.name, "matchResources": only_here, "validationActions": ["Deny"]}
    }))
    .unwrap();
    Api::all(client.clone()).create(&made, &validates).await.unwrap();
    // A policy is in force a moment after it was made.
    within("the policies are in force", async {
        loop {
            let named: Pod = serde_json::from_value(json!({
                "metadata": {"name": "probe"},
                "spec": {
                    "securityContext": {"runAsUser": 7, "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{"name": "c", "image": "i",
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}
            }))
            .unwrap();
            let rehearsal = PostParams { dry_run: true, ..PostParams::default() };
            if namespace.api::<Pod>().create(&rehearsal, &named).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn r1_agents_name_no_user_where_the_platform_does() {
    let namespace = Namespace::new("scc").await;
    play_scc(&namespace).await;
    let operator = Operator::spawn(&[&namespace], IMAGE, &["--openshift=true".to_owned()]).await;
    operator.until_ready();
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    let pod = within("the pod is admitted", async {
        loop {
            let agents = ListParams::default().labels("lanyard.dev/device=a");
            if let Some(pod) = namespace.api::<Pod>().list(&agents).await.unwrap().items.pop() {
                return pod;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    })
    .await;
    let context = pod.spec.unwrap().security_context.unwrap();
    assert_eq!((context.run_as_user, context.fs_group), (Some(1_000_660_000), Some(1_000_660_000)));
    assert_eq!((context.run_as_group, context.run_as_non_root), (None, Some(true)));
    let workload = namespace.api::<StatefulSet>().get("a-agent").await.unwrap();
    let context = workload.spec.unwrap().template.spec.unwrap().security_context.unwrap();
    assert_eq!((context.run_as_user, context.fs_group), (None, None));
}
