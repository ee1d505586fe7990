//! What an agent's pod may do: next to nothing.

use lanyard_tests::installation::try_kubectl;
use serde_json::Value;

use crate::connected;

#[test]
fn of_agents_have_no_token_no_rights_and_a_read_only_root() {
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
fn of_agents_bear_a_name_that_only_one_pod_can_have() {
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
