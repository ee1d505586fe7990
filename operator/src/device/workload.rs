//! The agent's `StatefulSet`: one pod, never two at once, with no right that it does not need. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, HTTPGetAction, LocalObjectReference,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lanyard_crds::agent::{Amounts, Resources};
use lanyard_protocol::handoff::config::FILE_NAME;

use super::claim;
use super::name;
use super::plan::{AgentImage, labels};
use super::validate::Valid;
use crate::cluster::view::DEVICE_LABEL;

/// Where the agent serves /metrics, /livez, /readyz and /status.
pub const HTTP_PORT: u16 = 9090;
/// The user of the image, who owns nothing.
const USER: i64 = 65532;
/// Longer than the agent takes to drain.
const GRACE_SECONDS: i64 = 40;
const CONFIG: &str = "/etc/lanyard/config";
const CREDENTIALS: &str = "/etc/lanyard/credentials";
const BUFFER: &str = "/var/lib/lanyard/buffer";

/// The `StatefulSet`'s specification. It holds nothing that the agent reloads by itself, so that new keys, tags or
/// certificates start no new pod.
///
/// A `StatefulSet`, for its pod has a name of its own, and the API server keeps one object of a name.
/// So the next agent starts when the one before has ended, on a rollout as well as when somebody deletes the pod or its node
/// is lost. A Deployment keeps that on a rollout only (`Recreate`): its ReplicaSet replaces a deleted pod at once, while the
/// old one still drains.
pub(super) fn spec(valid: &Valid, image: &AgentImage) -> StatefulSetSpec {
    let selector = BTreeMap::from([(DEVICE_LABEL.to_owned(), valid.name.clone())]);
    StatefulSetSpec {
        replicas: Some(1),
        revision_history_limit: Some(1),
        selector: LabelSelector { match_labels: Some(selector), ..LabelSelector::default() },
        // With OrderedReady a pod that does not get ready blocks the very rollout that would mend it
        // (kubernetes/kubernetes#67250). With one pod there is nothing else that the order could be for. Early releases of
        // 1.35 block here too (kubernetes/kubernetes#137409): there the pod has to be deleted by hand.
        pod_management_policy: Some("Parallel".to_owned()),
        update_strategy: Some(StatefulSetUpdateStrategy {
            type_: Some("RollingUpdate".to_owned()),
            // What the server would fill in, so that another value is noticed: it would hold the pod back.
            rolling_update: Some(RollingUpdateStatefulSetStrategy {
                partition: Some(0),
                max_unavailable: None,
            }),
        }),
        // Nobody looks the pod up by name, so no Service stands behind it.
        service_name: None,
        template: PodTemplateSpec {
            metadata: Some(pod_meta(&valid.name, image)),
            spec: Some(pod(valid, image)),
        },
        ..StatefulSetSpec::default()
    }
}

fn pod_meta(device: &str, image: &AgentImage) -> ObjectMeta {
    let scrape = [("prometheus.io/scrape", "true".to_owned()), ("prometheus.io/port", HTTP_PORT.to_string())];
    let scrape = || scrape.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    ObjectMeta {
        labels: Some(labels(device)),
        annotations: image.scrape_annotations.then(scrape),
        ..ObjectMeta::default()
    }
}

fn pod(valid: &Valid, image: &AgentImage) -> PodSpec {
    let secrets = image.pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    PodSpec {
        // The agent never speaks to the Kubernetes API.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        containers: vec![container(valid, image)],
        image_pull_secrets: (!image.pull_secrets.is_empty()).then(|| secrets.collect()),
        node_selector: valid.agent.node_selector.clone(),
        priority_class_name: valid.agent.priority_class_name.clone(),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            // A volume that has the group already is not rewritten file by file, at every start and for good.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        tolerations: valid.agent.tolerations.clone(),
        volumes: Some(volumes(valid)),
        ..PodSpec::default()
    }
}

fn container(valid: &Valid, image: &AgentImage) -> Container {
    let args = [
        "--config",
        &format!("{CONFIG}/{FILE_NAME}"),
        "--credentials",
        CREDENTIALS,
        "--buffer",
        BUFFER,
        "--log-format",
        "json",
    ];
    let mount = |name: &str, path: String| VolumeMount {
        name: name.to_owned(),
        mount_path: path,
        read_only: Some(true),
        ..VolumeMount::default()
    };
    Container {
        name: "agent".to_owned(),
        image: Some(image.image.clone()),
        image_pull_policy: Some(image.pull_policy.as_str().to_owned()),
        args: Some(args.map(str::to_owned).to_vec()),
        ports: Some(vec![ContainerPort {
            name: Some("http".to_owned()),
            container_port: HTTP_PORT.into(),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        liveness_probe: Some(probe("/livez", 10, 6)),
        readiness_probe: Some(probe("/readyz", 3, 1)),
        resources: Some(resources(valid.agent.resources.as_ref())),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        // The last words of an agent that ended go to the device's condition.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            mount("config", CONFIG.to_owned()),
            mount("credentials", format!("{CREDENTIALS}/{}", valid.name)),
            buffer_mount(valid),
        ]),
        ..Container::default()
    }
}

/// The volume of the buffer. Of a claim that devices share, the agent sees the folder of its own device only, in the place
/// where it would make that folder itself.
fn buffer_mount(valid: &Valid) -> VolumeMount {
    let shared = valid.storage.existing_claim.is_some();
    VolumeMount {
        name: "buffer".to_owned(),
        mount_path: if shared { format!("{BUFFER}/{}", valid.name) } else { BUFFER.to_owned() },
        sub_path: shared.then(|| valid.name.clone()),
        ..VolumeMount::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("http".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

/// What the user says, or what an idle agent with some tags needs, with room.
fn resources(wanted: Option<&Resources>) -> ResourceRequirements {
    let default = Resources {
        requests: Some(Amounts {
            cpu: Some(Quantity("5m".to_owned())),
            memory: Some(Quantity("16Mi".to_owned())),
        }),
        limits: Some(Amounts { cpu: None, memory: Some(Quantity("128Mi".to_owned())) }),
    };
    let Resources { requests, limits } = wanted.cloned().unwrap_or(default);
    let amounts = |amounts: Amounts| {
        let Amounts { cpu, memory } = amounts;
        let named = [("cpu", cpu), ("memory", memory)];
        named.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount?))).collect()
    };
    ResourceRequirements { requests: requests.map(amounts), limits: limits.map(amounts), claims: None }
}

fn volumes(valid: &Valid) -> Vec<Volume> {
    vec![
        Volume {
            name: "config".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: name::workload(&valid.name),
                default_mode: Some(0o444),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: "credentials".to_owned(),
            // Readable by the pod's group only.
            secret: Some(SecretVolumeSource {
                secret_name: Some(valid.secret_name.clone()),
                default_mode: Some(0o440),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        },
        claim::volume(valid, "buffer"),
    ]
}
