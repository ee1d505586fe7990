//! The examples of `crds/examples`, unchanged.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::ResourceExt;
use kube::api::ListParams;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_handoff::config::{AgentConfig, Device, Format, VERSION};
use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::kubernetes::{Namespace, secret_text};
use rcgen::{CertificateParams, DnType};

use crate::authority::{Authority, lets_in, tls_secret, usual};
use crate::operator::{IMAGE, Operator, condition, group_is, issued};
use crate::yaml::{K32, K64};

const CA: &str = include_str!("../cluster/other-ca.crt");

pub(crate) async fn apply_examples(namespace: &Namespace) {
    let ca = serde_json::to_string(CA).unwrap();
    namespace.apply(&format!("\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: lanyard-emulator-ca}}\ndata: {{ca.crt: {ca}}}\n")).await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/examples");
    apply_folder(namespace, &folder).await;
}

pub(crate) async fn apply_folder(namespace: &Namespace, folder: &std::path::Path) {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|file| file.is_file()) {
        namespace.apply(&std::fs::read_to_string(file).unwrap()).await;
    }
}

async fn configuration(namespace: &Namespace, name: &str) -> Device {
    let map = namespace.api::<ConfigMap>().get(&format!("{name}-agent")).await.unwrap();
    let config = AgentConfig::parse(&map.data.unwrap()["agent.yaml"]).unwrap();
    assert_eq!((config.version, config.devices.len()), (VERSION, 1));
    config.devices.into_iter().next().unwrap()
}

#[tokio::test]
async fn every_example_gets_credentials_configuration_and_an_agent() {
    let namespace = Namespace::new("examples").await;
    let _operator = Operator::start(&[&namespace]).await;
    apply_examples(&namespace).await;
    let group_key = SymmetricKey::from_base64(K64).unwrap();
    for (name, id) in [("press-17", "press-17"), ("press-18", "Press_18-SN007"), ("oven-3", "oven-3")] {
        let device = issued(&namespace, name).await;
        assert_eq!(device.status.unwrap().device_id.unwrap(), id);
        let secret = namespace.api::<Secret>().get(&format!("{name}-credentials")).await.unwrap();
        assert_eq!(secret.type_.as_deref(), Some("Opaque"));
        assert_eq!(secret_text(&secret, "sharedAccessKey"), *group_key.derive(id).to_base64());
        assert_eq!(secret_text(&secret, "deviceId"), id);
        assert_eq!(secret_text(&secret, "idScope"), "0ne00ABCDEF");
        assert_eq!(secret_text(&secret, "dpsEndpoint"), "lanyard-emulator.lanyard-system.svc");
        assert_eq!(secret_text(&secret, "ca.crt"), CA);
        assert!(!secret.data.unwrap().contains_key("connectionString"));
    }
    issued(&namespace, "gateway-1").await;
    let secret = namespace.api::<Secret>().get("gateway-1-credentials").await.unwrap();
    assert_eq!(secret_text(&secret, "sharedAccessKey"), K32);
    let text =
        format!("HostName=lanyard-emulator.lanyard-system.svc;DeviceId=gateway-1;SharedAccessKey={K32}");
    assert_eq!(secret_text(&secret, "connectionString"), text);

    let press = configuration(&namespace, "press-17").await;
    assert_eq!((press.model_id.as_deref(), press.tags.len()), (Some("dtmi:contoso:Press;1"), 3));
    assert_eq!(press.dps.unwrap().id_scope.as_str(), "0ne00ABCDEF");
    // What a device sets replaces the group's whole; what it does not set it inherits.
    let oven = configuration(&namespace, "oven-3").await;
    assert_eq!((oven.telemetry.format, oven.tags.len(), oven.sources.len()), (Format::Wide, 2, 1));
    assert_eq!(oven.telemetry.properties.get("kind").map(String::as_str), Some("oven"));
    let gateway = configuration(&namespace, "gateway-1").await;
    assert_eq!(gateway.hub.unwrap().hostname.host(), "lanyard-emulator.lanyard-system.svc");

    let group = namespace
        .wait("plant-a", "it counts its devices", |group: &ProvisioningGroup| {
            let devices = group.status.as_ref().and_then(|status| status.devices);
            group_is(group, "Ready", "True", "KeyUsable")
                && devices.is_some_and(|devices| (devices.total, devices.registered) == (3, 3))
        })
        .await;
    assert_eq!(condition(&group.status.unwrap().conditions, "Stalled").unwrap().status, "False");
}

/// One example of each kind of identity, with the objects of other programs.
#[tokio::test]
async fn every_kind_of_identity_gets_its_credentials() {
    let namespace = Namespace::new("identities").await;
    let _operator = Operator::start(&[&namespace]).await;
    let (ca, next) = (Authority::root(usual("Plant B")), Authority::root(usual("Plant B, next")));
    let mut client = CertificateParams::default();
    client.distinguished_name.push(DnType::CommonName, "press-32");
    let (leaf, key) = ca.leaf(&client);
    namespace.apply(&ca.secret("plant-b-ca", &[])).await;
    namespace.apply(&next.secret("plant-b-next-ca", &[])).await;
    namespace.apply(&tls_secret("press-32-tls", &format!("{leaf}{}", ca.pem), &key)).await;
    let edge = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "edge-ca"}, "data": {"ca.crt": ca.pem}});
    namespace.apply(&edge.to_string()).await;
    let key = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mixer-9-key"},
        "stringData": {"primaryKey": K32}});
    namespace.apply(&key.to_string()).await;
    apply_folder(
        &namespace,
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/examples/identities"),
    )
    .await;
    for (name, type_, file) in [
        ("press-31", "kubernetes.io/tls", "tls.crt"),
        ("press-32", "kubernetes.io/tls", "tls.crt"),
        ("press-33", "kubernetes.io/tls", "tls.crt"),
        ("gateway-34", "Opaque", "sharedAccessKey"),
        ("press-35", "kubernetes.io/tls", "tls.crt"),
        ("mixer-9", "Opaque", "ca.crt"),
    ] {
        issued(&namespace, name).await;
        let secret = namespace.api::<Secret>().get(&format!("{name}-credentials")).await.unwrap();
        assert_eq!(secret.type_.as_deref(), Some(type_), "{name}");
        assert!(!secret_text(&secret, file).is_empty());
    }
    assert_eq!(namespace.secret_text("gateway-34-credentials", "sharedAccessKey").await, K32, "not derived");
    let edge = configuration(&namespace, "mixer-9").await.hub.unwrap();
    assert_eq!(edge.hostname.host(), "contoso.azure-devices.net");
    assert_eq!(edge.gateway_hostname.unwrap().host(), "edge01.plant.local");
    let gateway = configuration(&namespace, "gateway-34").await.dps.unwrap();
    assert_eq!(gateway.registration_id.unwrap().as_str(), "line-4-gateway");
    namespace
        .wait("plant-b", "its CA can be used", |group: &ProvisioningGroup| {
            group_is(group, "Ready", "True", "IssuerUsable")
        })
        .await;
    assert!(lets_in(&namespace.secret_text("plant-b-verification", "verification.crt").await, &ca.pem));
}

#[tokio::test]
async fn secret_contains_the_published_test_vector() {
    let namespace = Namespace::new("vector").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&crate::yaml::group()).await;
    namespace.apply(&crate::yaml::member("dev-01", "")).await;
    issued(&namespace, "dev-01").await;
    // Reference, derivation vector 3.
    let key = namespace.secret_text("dev-01-credentials", "sharedAccessKey").await;
    assert_eq!(key, "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE=");
}

/// The namespace enforces `restricted`: a pod in it is one that was admitted.
#[tokio::test]
async fn an_agent_has_no_right_that_it_does_not_need() {
    let namespace = Namespace::new("rights").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&crate::yaml::group()).await;
    namespace
        .apply(&crate::yaml::member(
            "a",
            "  agent: {nodeSelector: {line: '1'}, tolerations: [{key: edge, \
        operator: Exists}], resources: {limits: {memory: 32Mi}}}",
        ))
        .await;
    issued(&namespace, "a").await;
    let workload = namespace.wait("a-agent", "it is there", |_: &StatefulSet| true).await;
    let spec = workload.spec.unwrap();
    assert_eq!((spec.replicas, spec.pod_management_policy.as_deref()), (Some(1), Some("Parallel")));
    let pods = || async {
        namespace.api::<Pod>().list(&ListParams::default().labels("lanyard.dev/device=a")).await.unwrap()
    };
    let pod = lanyard_tests::kubernetes::within("the pod is admitted", async {
        loop {
            if let Some(pod) = pods().await.items.pop() {
                return pod;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(
        pod.labels().get("app.kubernetes.io/managed-by").map(String::as_str),
        Some("lanyard-operator")
    );
    let spec = pod.spec.unwrap();
    assert_eq!((spec.automount_service_account_token, spec.enable_service_links), (Some(false), Some(false)));
    assert_eq!(spec.node_selector.unwrap()["line"], "1");
    let token = spec.volumes.unwrap().iter().any(|volume| volume.projected.is_some());
    assert!(!token, "no token is mounted");
    let container = &spec.containers[0];
    assert_eq!(container.image.as_deref(), Some(IMAGE));
    assert_eq!(container.security_context.as_ref().unwrap().read_only_root_filesystem, Some(true));
    assert_eq!(container.resources.as_ref().unwrap().limits.as_ref().unwrap()["memory"].0, "32Mi");
    let device = namespace.api::<IoTDevice>().get("a").await.unwrap();
    assert_eq!(pod.metadata.namespace, device.metadata.namespace);
}
