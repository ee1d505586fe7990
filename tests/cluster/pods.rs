//! Permissions of an agent's pod: as few as possible.

use lanyard_tests::installation::{Plant, at_hub, try_kubectl};
use serde_json::Value;

use crate::connected;

#[test]
fn agent_pods_have_no_token_and_a_read_only_root() {
    // The namespace enforces the Pod Security Standard "restricted", so that the pod exists at all proves much.
    let plant = connected("pods", &["pods-1".to_owned()]);
    let shown = plant.kubectl(&["get", "pods", "-l", "lanyard.dev/device=pods-1", "-o", "json"]);
    let pods: Value = serde_json::from_str(&shown).unwrap();
    let spec = &pods["items"][0]["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    let volumes = spec["volumes"].as_array().unwrap();
    assert!(!volumes.iter().any(|v| v.to_string().contains("serviceAccountToken")), "{volumes:?}");
    let container = &spec["containers"][0];
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(
        !mounts.iter().any(|m| m["mountPath"].as_str().is_some_and(|p| p.contains("serviceaccount"))),
        "{mounts:?}"
    );
    let security = &container["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["capabilities"]["drop"][0], "ALL");

    // The group's own key is in no pod.
    assert!(!volumes.iter().any(|v| v["secret"]["secretName"] == "group-key"), "{volumes:?}");
    // Nor is any environment variable or argument a secret.
    let key = plant.kubectl(&[
        "get",
        "secret",
        "pods-1-credentials",
        "-o",
        "go-template={{.data.sharedAccessKey | base64decode}}",
    ]);
    assert!(!container.to_string().contains(key.trim()));
}

#[test]
fn agent_pods_have_a_fixed_name() {
    let plant = connected("named", &["pods-2".to_owned()]);
    let workload = plant.get("sts/pods-2-agent").expect("the operator made it");
    assert_eq!(workload["spec"]["replicas"], 1);
    let pod = plant.get("pod/pods-2-agent-0").expect("it is connected");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], workload["metadata"]["uid"]);
    // As the service account of the agent's pod, nothing is allowed.
    let account = workload["spec"]["template"]["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let who = format!("system:serviceaccount:{}:{account}", plant.namespace);
    let answer = try_kubectl(&["-n", &plant.namespace, "auth", "can-i", "get", "secrets", "--as", &who]);
    assert!(answer.is_err_and(|shown| shown.contains("no")));
}

/// An admission policy that gives the agents of a namespace another user, as OpenShift does, for as long as this is in scope.
struct AnyUser {
    name: String,
}

impl AnyUser {
    const USER: u64 = 1_000_660_000;

    /// Applies the policy. The device `with_group` gets an fsGroup of its namespace; the others get none.
    fn begin(plant: &Plant, with_group: &str) -> Self {
        let name = format!("any-user-{}", plant.namespace);
        let (namespace, user) = (&plant.namespace, Self::USER);
        plant.apply(&format!(
            "
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}
    resourceRules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}}]
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          [JSONPatch{{op: 'replace', path: '/spec/securityContext/runAsUser', value: {user}}},
           JSONPatch{{op: 'remove', path: '/spec/securityContext/runAsGroup'}}]
          + (object.metadata.labels['lanyard.dev/device'] == '{with_group}'
             ? [JSONPatch{{op: 'replace', path: '/spec/securityContext/fsGroup', value: {user}}}]
             : [JSONPatch{{op: 'remove', path: '/spec/securityContext/fsGroup'}}])
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}}}
"
        ));
        Self { name }
    }
}

impl Drop for AnyUser {
    fn drop(&mut self) {
        for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
            println!("{}", try_kubectl(&["delete", kind, &self.name]).unwrap_or_else(|error| error));
        }
    }
}

/// R2: credentials and buffer are readable for any user, with the namespace's fsGroup and without one.
#[test]
fn r2_agents_run_under_any_user() {
    let devices = ["pods-with-group", "pods-without-group"].map(crate::fresh);
    let plant = connected("any-user", &devices);
    let _policy = AnyUser::begin(&plant, &devices[0]);
    for (device, group) in devices.iter().zip([Some(AnyUser::USER), None]) {
        let pod = format!("pod/{device}-agent-0");
        // The API server takes a moment to know the policy.
        plant.eventually("a pod of another user", 90, || {
            let context = plant.get(&pod).ok_or("no pod")?["spec"]["securityContext"].clone();
            if context["runAsUser"] == AnyUser::USER {
                assert_eq!(context["fsGroup"].as_u64(), group);
                return Ok(());
            }
            plant.kubectl(&["delete", "--ignore-not-found", &pod]);
            Err(context.to_string())
        });
        plant.eventually("a connection under that user", 90, || match at_hub(device) {
            Some(seen) if seen.connections > 1 && seen.connected => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    plant.await_all_ready(60);
}
