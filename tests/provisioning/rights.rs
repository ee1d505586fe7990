//! `lanyard-operator check`, which `helm test` runs, on a good installation and on bad ones (C6).

use std::process::Command;

use k8s_openapi::api::rbac::v1::Role;
use lanyard_tests::kubernetes::Namespace;
use lanyard_tests::process::binary;
use lanyard_tests::scratch::Scratch;
use serde_json::json;

use crate::operator::{ACCOUNT, account, sees_installations};

fn check(config: &std::path::Path, home: &Namespace, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary("lanyard-operator"));
    command.env("KUBECONFIG", config).env("POD_NAMESPACE", &home.name);
    command.arg("check").arg(format!("--namespace={}", home.name)).args(more);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

#[tokio::test]
async fn c6_check_names_each_missing_right() {
    let home = Namespace::new("rights").await;
    let files = Scratch::new("rights");
    let config = files.write("kubeconfig", &account(&home, &[&home]).await);
    let (code, text) = check(&config, &home, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("missing right: list leases.coordination.k8s.io in all namespaces"), "{text}");
    let (code, text) = check(&config, &home, &["--see-other-installations=false"]);
    assert_eq!(code, Some(0), "{text}");
    sees_installations(&home).await;
    let (code, text) = check(&config, &home, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("ok: both kinds and all"), "{text}");

    let pods = json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]});
    home.change::<Role>(ACCOUNT, pods).await;
    let (code, text) = check(&config, &home, &[]);
    assert_eq!(code, Some(1), "{text}");
    for expected in [
        "watch pods in",
        "create, delete, get, list, patch, watch secrets in",
        "patch iotdevices/status.lanyard.dev in",
    ] {
        assert!(
            text.contains(&format!("missing right: {expected} namespace {}", home.name)),
            "{expected}\n{text}"
        );
    }
}
