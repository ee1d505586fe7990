//! The objects that a device needs, and which of them change when.

use k8s_openapi::api::core::v1::Secret;
use lanyard_crds::IoTDevice;
use lanyard_crds::status::{CredentialsKind, CredentialsStatus, IoTDeviceStatus};
use lanyard_handoff::config::{AgentConfig, DataType, Device, Format, InitialUpdate};
use lanyard_operator::device::plan::defaults::AgentDefaults;
use lanyard_operator::device::plan::objects::{self, Plan, withdrawal};
use lanyard_operator::kubernetes::found::CaFound;

use lanyard_operator::reason::Reason;
use serde_json::{Value, json};

use crate::given::{K32, at_hub, defaults, device, in_group, through};

fn plan(spec: &str) -> Plan {
    through(&in_group(spec)).unwrap().2
}

fn configuration(plan: &Plan) -> Device {
    let text = &plan.configuration.as_ref().unwrap().data.as_ref().unwrap()["agent.yaml"];
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
fn source_of_the_group_is_not_inherited_beside_own_tags() {
    let fault = through(&in_group("{groupRef: {name: a}, sources: []}")).unwrap_err();
    assert_eq!(fault.reason.as_str(), "InvalidSpec");
    assert!(fault.message.contains("tags[0].source: there is no source \"sim\""), "{}", fault.message);
}

#[test]
fn invalid_template_is_refused_with_line_and_column() {
    let fault = |template: &str| {
        let spec =
            format!("{{groupRef: {{name: a}}, telemetry: {{format: Template, template: {template}}}}}");
        through(&in_group(&spec)).unwrap_err()
    };
    let unknown = fault(r#"{advanced: "[\n  |#each VALUES||TAGNAM||/each|]"}"#);
    assert_eq!(unknown.reason.as_str(), "InvalidSpec");
    let words = "telemetry.template: advanced, line 2, column 17: |TAGNAM| is not a variable: did you mean |TAGNAME|?";
    assert!(unknown.message.starts_with(words), "{}", unknown.message);
    let no_json = fault("{standard: {message: 'a: |VALUES|', values: 'id: |TAGNAME'}}");
    assert!(no_json.message.contains("standard.values, line 1, column 5"), "{}", no_json.message);
}

#[test]
fn all_data_settings_reach_the_agent() {
    let device = configuration(&plan(
        "{groupRef: {name: a}, \
          tags: [{name: T, source: sim, address: K1, dataType: LBCD, enabled: false, deadband: {percent: 2.5}, maxSilence: 1m}], \
          telemetry: {format: Template, template: {events: Wide,
              advanced: '[|#each VALUES||VALUE||#unless @last|,|/unless||/each|]'}, initialUpdate: Disabled}, \
          lastWill: {payload: gone, properties: {why: unknown}, contentType: text/plain}}",
    ));
    let tag = &device.tags[0];
    assert_eq!(tag.data_type, Some(DataType::Lbcd));
    assert_eq!((tag.enabled, tag.deadband.unwrap().percent), (false, Some(2.5)));
    assert_eq!(tag.max_silence.unwrap().to_string(), "1m");
    assert_eq!(
        (device.telemetry.format, device.telemetry.initial_update),
        (Format::Wide, InitialUpdate::Disabled)
    );
    assert!(device.telemetry.template.is_some());
    assert_eq!(device.last_will.unwrap().bag().to_string(), "%24.ct=text%2Fplain&why=unknown");
}

#[test]
fn the_examples_of_formats_reach_the_agent() {
    for example in [
        include_str!("../../../crds/examples/formats/mixer-41.yaml"),
        include_str!("../../../crds/examples/formats/mixer-42.yaml"),
    ] {
        let mut observed = in_group("{groupRef: {name: a}}");
        let mut device: IoTDevice = serde_saphyr::from_str(example).unwrap();
        device.metadata.uid = Some("u3".to_owned());
        observed.device = std::sync::Arc::new(device);
        let device = configuration(&through(&observed).unwrap().2);
        assert!(device.telemetry.template.is_some() && device.tags.len() >= 2);
    }
}

#[test]
fn the_secret_serves_the_agent_and_others() {
    assert_eq!(
        keys(&plan("{groupRef: {name: a}}").credentials),
        ["deviceId", "dpsEndpoint", "idScope", "sharedAccessKey"]
    );
    let mut observed = at_hub(&[("primaryKey", K32)]);
    observed.trusted_ca =
        CaFound::Text { object: "ConfigMap ca".into(), bytes: crate::authority::DOMAIN_CA.into() };
    let plan = through(&observed).unwrap().2;
    assert_eq!(
        keys(&plan.credentials),
        ["ca.crt", "connectionString", "deviceId", "hostname", "sharedAccessKey"]
    );
    assert!(!format!("{:?}", through(&observed).unwrap().1).contains(K32));
}

/// New keys, tags and certificates are reloaded by the agent itself: its StatefulSet must not change for them.
#[test]
fn only_what_the_agent_cannot_reload_starts_a_new_pod() {
    let before = plan("{groupRef: {name: a}}");
    let mut observed = in_group("{groupRef: {name: a}, tags: [], telemetry: {interval: 1m}}");
    observed.trusted_ca =
        CaFound::Text { object: "ConfigMap ca".into(), bytes: crate::authority::DOMAIN_CA.into() };
    let after = through(&observed).unwrap().2;
    assert_ne!((&before.credentials, &before.configuration), (&after.credentials, &after.configuration));
    assert_eq!(before.workload, after.workload);
    let moved = plan("{groupRef: {name: a}, agent: {nodeSelector: {line: one}}}");
    assert_ne!(before.workload, moved.workload);
}

/// Even with tags that no agent could read.
#[test]
fn device_without_an_agent_gets_credentials_only() {
    let plan =
        plan("{groupRef: {name: a}, tags: [{name: t, source: gone, address: x}], agent: {mode: None}}");
    assert_eq!((plan.configuration, plan.workload), (None, None));
    assert!(keys(&plan.credentials).contains(&"sharedAccessKey"));
}

#[test]
fn all_objects_are_owned_by_the_device() {
    let plan = plan("{groupRef: {name: a}}");
    let (configuration, workload) = (plan.configuration.unwrap(), plan.workload.unwrap());
    for meta in [&plan.credentials.metadata, &configuration.metadata, &workload.metadata] {
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
    let spec = plan("{groupRef: {name: a}}").workload.unwrap().spec.unwrap();
    let strategy = spec.update_strategy.unwrap();
    assert_eq!((spec.replicas, strategy.type_.as_deref()), (Some(1), Some("RollingUpdate")));
    assert_eq!((spec.pod_management_policy.as_deref(), spec.service_name), (Some("Parallel"), None));
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

/// Returns the metadata of an object of the device.
fn meta(name: &str) -> Value {
    json!({
        "name": name, "namespace": "plant", "labels": labels(),
        "ownerReferences": [{"apiVersion": "lanyard.dev/v1alpha1", "controller": true, "kind": "IoTDevice",
            "name": "press-17", "uid": "u1"}],
    })
}

fn labels() -> Value {
    json!({
        "app.kubernetes.io/component": "agent", "app.kubernetes.io/instance": "press-17",
        "app.kubernetes.io/managed-by": "lanyard-operator", "app.kubernetes.io/name": "lanyard-agent",
        "app.kubernetes.io/part-of": "lanyard", "lanyard.dev/device": "press-17",
    })
}

/// Whole, because a field that is missing changes what Kubernetes does.
#[test]
fn workload_and_claim_have_these_fields_and_no_others() {
    let probe = |path: &str, period: i32, failures: i32| {
        json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": period, "failureThreshold": failures,
            "timeoutSeconds": 2})
    };
    let container = json!({
        "name": "agent", "image": "agent:1", "imagePullPolicy": "IfNotPresent",
        "args": ["--config", "/etc/lanyard/config/agent.yaml", "--credentials", "/etc/lanyard/credentials",
            "--buffer", "/var/lib/lanyard/buffer", "--http", "[::]:9090", "--log-format", "json"],
        "ports": [{"containerPort": 9090, "name": "http", "protocol": "TCP"}],
        "livenessProbe": probe("/livez", 10, 6), "readinessProbe": probe("/readyz", 3, 1),
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            "privileged": false, "readOnlyRootFilesystem": true},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/lanyard/config", "readOnly": true},
            {"name": "credentials", "mountPath": "/etc/lanyard/credentials/press-17", "readOnly": true},
            {"name": "buffer", "mountPath": "/var/lib/lanyard/buffer"}],
    });
    let pod = json!({
        "automountServiceAccountToken": false, "enableServiceLinks": false, "containers": [container],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 40,
        "volumes": [
            {"name": "config", "configMap": {"name": "press-17-agent", "defaultMode": 0o444}},
            {"name": "credentials", "secret": {"secretName": "press-17-credentials", "defaultMode": 0o440}},
            {"name": "buffer", "emptyDir": {"sizeLimit": "352Mi"}}],
    });
    let expected = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta("press-17-agent"),
        "spec": {
            "replicas": 1, "revisionHistoryLimit": 1, "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"lanyard.dev/device": "press-17"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "template": {
                "metadata": {"labels": labels(),
                    "annotations": {"prometheus.io/port": "9090", "prometheus.io/scrape": "true"}},
                "spec": pod,
            },
        },
    });
    let workload = plan("{groupRef: {name: a}}").workload.unwrap();
    assert_eq!(serde_json::to_value(workload).unwrap(), expected);
    let storage = "{claim: {storageClassName: fast, whenDeleted: Delete}}";
    let claim = plan(&format!("{{groupRef: {{name: a}}, buffer: {{storage: {storage}}}}}")).claim.unwrap();
    let expected = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta("press-17-agent-buffer"),
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast",
            "resources": {"requests": {"storage": "352Mi"}}},
    });
    assert_eq!(serde_json::to_value(claim).unwrap(), expected);
}

#[test]
fn pod_has_the_agents_own_settings() {
    let agent = json!({
        "imagePullSecrets": [{"name": "pull"}], "resources": {"limits": {"cpu": "100m"}}, "logLevel": "debug",
        "priorityClassName": "low", "nodeSelector": {"line": "one"}, "env": [{"name": "TZ", "value": "UTC"}],
        "tolerations": [{"key": "edge", "operator": "Exists"}],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["hub.example"]}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
            {"maxSkew": 2, "topologyKey": "host", "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"a": "b"}}}],
    });
    let spec = plan(&format!("{{groupRef: {{name: a}}, agent: {agent}}}")).workload.unwrap().spec.unwrap();
    let pod = serde_json::to_value(spec.template.spec.unwrap()).unwrap();
    for field in ["imagePullSecrets", "priorityClassName", "tolerations", "hostAliases", "affinity"] {
        assert_eq!(pod[field], agent[field], "{field}");
    }
    let container = &pod["containers"][0];
    assert_eq!((&container["resources"], &container["env"]), (&agent["resources"], &agent["env"]));
    let args = container["args"].as_array().unwrap();
    assert_eq!(args[args.len() - 2..], ["--log-level", "debug"]);
    assert_eq!(pod["nodeSelector"], json!({"line": "one", "kubernetes.io/os": "linux"}));
    let mut constraints = agent["topologySpreadConstraints"].clone();
    constraints[0]["labelSelector"] = json!({"matchLabels": {"app.kubernetes.io/name": "lanyard-agent"}});
    assert_eq!(pod["topologySpreadConstraints"], constraints);
}

#[test]
fn secret_with_the_former_name_is_deleted() {
    let mut observed = in_group("{groupRef: {name: a}, credentials: {secretName: new}}");
    let status = IoTDeviceStatus {
        credentials: Some(CredentialsStatus {
            secret_name: "old".into(),
            kind: CredentialsKind::SharedAccessKey,
            ..CredentialsStatus::default()
        }),
        ..IoTDeviceStatus::default()
    };
    std::sync::Arc::make_mut(&mut observed.device).status = Some(status.clone());
    assert_eq!(through(&observed).unwrap().2.former_credentials.as_deref(), Some("old"));
    let mut blocked = device("{groupRef: {name: a}, credentials: {secretName: new}, blocked: true}");
    blocked.status = Some(status);
    assert_eq!(withdrawal(&blocked, Reason::Blocked).credentials, ["new", "old"]);
    let parked = withdrawal(&blocked, Reason::DuplicateDeviceId);
    assert_eq!((parked.credentials.len(), parked.workload.as_str()), (0, "press-17-agent"));
}

#[test]
fn scrape_annotations_can_be_turned_off() {
    let observed = in_group("{groupRef: {name: a}}");
    let (valid, issued, annotated) = through(&observed).unwrap();
    let without = AgentDefaults { scrape_annotations: false, ..defaults() };
    let bare = objects::plan(&observed.device, &valid, issued, &without);
    let annotations =
        |plan: Plan| plan.workload.unwrap().spec.unwrap().template.metadata.unwrap().annotations;
    assert_eq!(annotations(annotated).unwrap()["prometheus.io/port"], "9090");
    assert_eq!(annotations(bare), None);
}
