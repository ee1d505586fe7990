//! The agent's `StatefulSet`: one pod, never two at once, with no right that it does not need. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EnvVar, HTTPGetAction, HostAlias,
    LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
    SeccompProfile, SecretVolumeSource, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lanyard_crds::agent::{Agent, Amounts, LogFormat, Resources};
use lanyard_handoff::config::FILE_NAME;

use super::claim;
use super::defaults::AgentDefaults;
use super::name;
use crate::device::plan::labels::labels;
use crate::device::validate::effective::EffectiveDevice;
use crate::kubernetes::labels::DEVICE_LABEL;
use crate::kubernetes::labels::HTTP_PORT;
use crate::kubernetes::labels::{NAME, NAME_LABEL};

/// The user of the image, who owns nothing.
const USER: i64 = 65532;
/// Longer than the agent takes to drain.
const GRACE_SECONDS: i64 = 40;
const CONFIG: &str = "/etc/lanyard/config";
const CREDENTIALS: &str = "/etc/lanyard/credentials";
const BUFFER: &str = "/var/lib/lanyard/buffer";

/// Returns the specification of the `StatefulSet`. It contains nothing that the agent reloads itself, so new keys,
/// tags or certificates start no new pod.
///
/// A `StatefulSet` gives its pod a fixed name, and the API server stores one object of a name. So the next agent
/// starts only after the previous one has ended, on a rollout as well as after a deletion of the pod or the loss of
/// its node. A Deployment guarantees that only on a rollout (`Recreate`): its ReplicaSet replaces a deleted pod at
/// once, while the old one still drains.
pub(super) fn spec(valid: &EffectiveDevice, defaults: &AgentDefaults) -> StatefulSetSpec {
    let selector = BTreeMap::from([(DEVICE_LABEL.to_owned(), valid.name.clone())]);
    let agent = defaults.settings(&valid.agent);
    StatefulSetSpec {
        replicas: Some(1),
        revision_history_limit: Some(1),
        selector: LabelSelector { match_labels: Some(selector), ..LabelSelector::default() },
        // With OrderedReady a pod that does not get ready blocks the very rollout that would repair it
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
        // The pod is not looked up by name, so there is no Service.
        service_name: None,
        template: PodTemplateSpec {
            metadata: Some(pod_meta(valid, &agent, defaults)),
            spec: Some(pod(valid, agent, defaults)),
        },
        ..StatefulSetSpec::default()
    }
}

/// Returns the pod's labels and annotations. Those of users give way to the operator's own.
fn pod_meta(valid: &EffectiveDevice, agent: &Agent, defaults: &AgentDefaults) -> ObjectMeta {
    let mut all = defaults.common_labels.clone();
    all.extend(agent.labels.clone().unwrap_or_default());
    all.extend(labels(&valid.name));
    let mut annotations = agent.annotations.clone().unwrap_or_default();
    if defaults.scrape_annotations {
        annotations.insert("prometheus.io/scrape".to_owned(), "true".to_owned());
        annotations.insert("prometheus.io/port".to_owned(), HTTP_PORT.to_string());
    }
    ObjectMeta {
        labels: Some(all),
        annotations: (!annotations.is_empty()).then_some(annotations),
        ..ObjectMeta::default()
    }
}

fn pod(valid: &EffectiveDevice, agent: Agent, defaults: &AgentDefaults) -> PodSpec {
    let container = container(valid, &agent, defaults);
    let secrets: Vec<LocalObjectReference> = agent
        .image_pull_secrets
        .unwrap_or_default()
        .into_iter()
        .map(|secret| LocalObjectReference { name: secret.name })
        .collect();
    // The image is one for Linux.
    let mut node_selector = agent.node_selector.unwrap_or_default();
    node_selector.entry("kubernetes.io/os".to_owned()).or_insert_with(|| "linux".to_owned());
    let aliases = agent.host_aliases.map(|aliases| {
        let to_kubernetes = |alias: lanyard_crds::agent::HostAlias| HostAlias {
            ip: alias.ip,
            hostnames: Some(alias.hostnames),
        };
        aliases.into_iter().map(to_kubernetes).collect()
    });
    let user = defaults.name_user.then_some(USER);
    PodSpec {
        // The agent never speaks to the Kubernetes API.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        affinity: agent.affinity,
        containers: vec![container],
        host_aliases: aliases,
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        node_selector: Some(node_selector),
        priority_class_name: agent.priority_class_name,
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: user,
            run_as_group: user,
            fs_group: user,
            // A volume that has the group already is not rewritten file by file, at every start and for good.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        tolerations: agent.tolerations,
        topology_spread_constraints: agent
            .topology_spread_constraints
            .map(|constraints| constraints.into_iter().map(with_selector).collect()),
        volumes: Some(volumes(valid)),
        ..PodSpec::default()
    }
}

/// Adds a selector of all agents to a constraint without a selector, which would count no pod at all.
fn with_selector(constraint: TopologySpreadConstraint) -> TopologySpreadConstraint {
    let agents = || LabelSelector {
        match_labels: Some(BTreeMap::from([(NAME_LABEL.to_owned(), NAME.to_owned())])),
        ..LabelSelector::default()
    };
    TopologySpreadConstraint {
        label_selector: Some(constraint.label_selector.unwrap_or_else(agents)),
        ..constraint
    }
}

fn container(valid: &EffectiveDevice, agent: &Agent, defaults: &AgentDefaults) -> Container {
    let config = format!("{CONFIG}/{FILE_NAME}");
    // Every address of the pod, of both families: kubelet, operator and Prometheus ask from outside.
    let http = format!("[::]:{HTTP_PORT}");
    let mut args = vec![
        "--config",
        &config,
        "--credentials",
        CREDENTIALS,
        "--buffer",
        BUFFER,
        "--http",
        &http,
        "--log-format",
        agent.log_format.unwrap_or(LogFormat::Json).as_str(),
    ];
    if let Some(level) = &agent.log_level {
        args.extend(["--log-level", level]);
    }
    let mount = |name: &str, path: String| VolumeMount {
        name: name.to_owned(),
        mount_path: path,
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let variables = agent.env.as_ref().map(|variables| {
        let to_kubernetes = |variable: &lanyard_crds::agent::Variable| EnvVar {
            name: variable.name.clone(),
            value: Some(variable.value.clone()),
            value_from: None,
        };
        variables.iter().map(to_kubernetes).collect()
    });
    Container {
        name: "agent".to_owned(),
        image: Some(defaults.image.clone()),
        image_pull_policy: Some(defaults.pull_policy.as_str().to_owned()),
        args: Some(args.into_iter().map(str::to_owned).collect()),
        env: variables,
        ports: Some(vec![ContainerPort {
            name: Some("http".to_owned()),
            container_port: HTTP_PORT.into(),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        liveness_probe: Some(probe("/livez", 10, 6)),
        readiness_probe: Some(probe("/readyz", 3, 1)),
        resources: Some(resources(agent.resources.as_ref())),
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

/// Returns the mount of the buffer's volume. Of a claim that devices share, the agent sees the folder of its own device
/// only, in the place where it would make that folder itself.
fn buffer_mount(valid: &EffectiveDevice) -> VolumeMount {
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

/// Returns the user's resources, or those of an idle agent with some tags, with a margin.
fn resources(requested: Option<&Resources>) -> ResourceRequirements {
    let default = Resources {
        requests: Some(Amounts {
            cpu: Some(Quantity("5m".to_owned())),
            memory: Some(Quantity("16Mi".to_owned())),
        }),
        limits: Some(Amounts { cpu: None, memory: Some(Quantity("128Mi".to_owned())) }),
    };
    let Resources { requests, limits } = requested.cloned().unwrap_or(default);
    let amounts = |amounts: Amounts| {
        let Amounts { cpu, memory } = amounts;
        let named = [("cpu", cpu), ("memory", memory)];
        named.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount?))).collect()
    };
    ResourceRequirements { requests: requests.map(amounts), limits: limits.map(amounts), claims: None }
}

fn volumes(valid: &EffectiveDevice) -> Vec<Volume> {
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
