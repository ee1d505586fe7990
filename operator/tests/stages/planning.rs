//! The objects that a device needs, and which of them change when.

use k8s_openapi::api::core::v1::Secret;
use lanyard_crds::status::{CredentialsKind, CredentialsStatus, IoTDeviceStatus};
use lanyard_operator::cluster::read::CaFound;
use lanyard_operator::device::plan::{Plan, withdrawal};
use lanyard_protocol::handoff::config::{AgentConfig, Device, Format};

use crate::given::{K32, at_hub, device, in_group, through};

fn plan(spec: &str) -> Plan {
    through(&in_group(spec)).unwrap().2
}

fn configuration(plan: &Plan) -> Device {
    let text = &plan.configuration.data.as_ref().unwrap()["agent.yaml"];
    AgentConfig::parse(text).unwrap().devices.remove(0)
}

fn keys(secret: &Secret) -> Vec<&str> {
    secret.data.as_ref().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_device_inherits_and_what_it_sets_replaces_the_groups_whole() {
    let inherited = configuration(&plan("{groupRef: {name: a}}"));
    assert_eq!((inherited.tags.len(), inherited.model_id.as_deref()), (2, Some("dtmi:contoso:Press;1")));
    assert_eq!(inherited.telemetry.interval.to_string(), "2s");
    let own = configuration(&plan(
        "{groupRef: {name: a}, tags: [{name: T, source: sim, address: K1}], telemetry: {format: Wide, properties: {x: y}}}",
    ));
    assert_eq!((own.tags.len(), own.sources.len()), (1, 1));
    // Nothing is merged deeper: the group's interval and properties are gone.
    assert_eq!((own.telemetry.format, own.telemetry.interval.to_string()), (Format::Wide, "10s".to_owned()));
    assert_eq!(own.telemetry.properties.len(), 1);
    assert!(configuration(&plan("{groupRef: {name: a}, tags: []}")).tags.is_empty());
}

#[test]
fn a_source_that_only_the_group_could_have_is_missed_here() {
    let fault = through(&in_group("{groupRef: {name: a}, sources: []}")).unwrap_err();
    assert_eq!(fault.reason.as_str(), "InvalidSpec");
    assert!(fault.message.contains("tags[0].source: there is no source \"sim\""), "{}", fault.message);
}

#[test]
fn the_secret_serves_the_agent_and_others() {
    assert_eq!(
        keys(&plan("{groupRef: {name: a}}").credentials),
        ["deviceId", "dpsEndpoint", "idScope", "sharedAccessKey"]
    );
    let mut observed = at_hub(&[("primaryKey", K32)]);
    observed.trusted_ca =
        CaFound::Text { object: "ConfigMap ca".into(), text: "-----BEGIN CERTIFICATE-----".into() };
    let plan = through(&observed).unwrap().2;
    assert_eq!(
        keys(&plan.credentials),
        ["ca.crt", "connectionString", "deviceId", "hostname", "sharedAccessKey"]
    );
    assert!(!format!("{:?}", through(&observed).unwrap().1).contains(K32));
}

/// New keys, tags and certificates are reloaded by the agent itself: its Deployment must not change for them.
#[test]
fn only_what_the_agent_cannot_reload_starts_a_new_pod() {
    let before = plan("{groupRef: {name: a}}");
    let mut observed = in_group("{groupRef: {name: a}, tags: [], telemetry: {interval: 1m}}");
    observed.trusted_ca =
        CaFound::Text { object: "ConfigMap ca".into(), text: "-----BEGIN CERTIFICATE-----".into() };
    let after = through(&observed).unwrap().2;
    assert_ne!((&before.credentials, &before.configuration), (&after.credentials, &after.configuration));
    assert_eq!(before.workload, after.workload);
    let moved = plan("{groupRef: {name: a}, agent: {nodeSelector: {line: one}}}");
    assert_ne!(before.workload, moved.workload);
}

#[test]
fn everything_belongs_to_the_device_and_says_so() {
    let plan = plan("{groupRef: {name: a}}");
    for meta in [&plan.credentials.metadata, &plan.configuration.metadata, &plan.workload.metadata] {
        let owner = &meta.owner_references.as_ref().unwrap()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.uid.as_str(), owner.controller),
            ("IoTDevice", "u1", Some(true))
        );
        assert_eq!(meta.labels.as_ref().unwrap()["lanyard.dev/device"], "press-17");
        assert_eq!(meta.namespace.as_deref(), Some("plant"));
    }
}

/// The Pod Security Standard `restricted`, and what DESIGN promises beyond it.
#[test]
fn the_pod_has_no_right_that_it_does_not_need() {
    let spec = plan("{groupRef: {name: a}}").workload.spec.unwrap();
    assert_eq!((spec.replicas, spec.strategy.unwrap().type_.as_deref()), (Some(1), Some("Recreate")));
    let pod = spec.template.spec.unwrap();
    assert_eq!((pod.automount_service_account_token, pod.enable_service_links), (Some(false), Some(false)));
    let context = pod.security_context.unwrap();
    assert_eq!(
        (context.run_as_non_root, context.seccomp_profile.unwrap().type_.as_str()),
        (Some(true), "RuntimeDefault")
    );
    let context = pod.containers[0].security_context.as_ref().unwrap();
    assert_eq!(
        (context.allow_privilege_escalation, context.read_only_root_filesystem),
        (Some(false), Some(true))
    );
    assert_eq!(context.capabilities.as_ref().unwrap().drop.as_deref(), Some(&["ALL".to_owned()][..]));
    let mounts = pod.containers[0].volume_mounts.as_ref().unwrap();
    let writable: Vec<_> = mounts
        .iter()
        .filter(|mount| mount.read_only != Some(true))
        .map(|mount| mount.name.as_str())
        .collect();
    assert_eq!(writable, ["buffer"]);
    // The group's Secret is nowhere in it.
    let secrets: Vec<_> = pod
        .volumes
        .iter()
        .flatten()
        .filter_map(|volume| volume.secret.as_ref()?.secret_name.as_deref())
        .collect();
    assert_eq!(secrets, ["press-17-credentials"]);
}

#[test]
fn a_secret_of_a_former_name_goes() {
    let mut observed = in_group("{groupRef: {name: a}, credentials: {secretName: new}}");
    let status = IoTDeviceStatus {
        credentials: Some(CredentialsStatus {
            secret_name: "old".into(),
            kind: CredentialsKind::SharedAccessKey,
        }),
        ..IoTDeviceStatus::default()
    };
    std::sync::Arc::make_mut(&mut observed.device).status = Some(status.clone());
    assert_eq!(through(&observed).unwrap().2.former_credentials.as_deref(), Some("old"));
    let mut blocked = device("{groupRef: {name: a}, credentials: {secretName: new}, blocked: true}");
    blocked.status = Some(status);
    assert_eq!(withdrawal(&blocked).credentials, ["new", "old"]);
}
