//! The operator under test: a process with a ServiceAccount's token and exactly the rules of the chart. Writes the cluster.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace as K8sNamespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ObjectMeta, PostParams};
use kube::config::Kubeconfig;
use kube::{Api, Resource};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::http;
use lanyard_tests::kubernetes::{Namespace, kubeconfig};
use lanyard_tests::process::{Process, binary, eventually};
use lanyard_tests::scratch::Scratch;

/// Account of the operator at the API server.
pub(crate) const ACCOUNT: &str = "operator";
/// An image that is nowhere.
pub(crate) const IMAGE: &str = "localhost/none:0";

/// A running operator; it ends with its scope.
pub(crate) struct Operator {
    pub(crate) process: Process,
    http: SocketAddr,
    _files: Scratch,
}

impl Operator {
    /// Starts it and waits until it works or is on standby.
    pub(crate) async fn start(namespaces: &[&Namespace]) -> Self {
        Self::start_with(namespaces, IMAGE).await
    }

    /// Starts it with another image for the agents, and waits until it works or is on standby.
    pub(crate) async fn start_with(namespaces: &[&Namespace], image: &str) -> Self {
        Self::start_beside(namespaces, &[], image).await
    }

    /// Starts it with `others` as further namespaces, where it has no rights, and waits until it works or is on standby.
    pub(crate) async fn start_beside(namespaces: &[&Namespace], others: &[&str], image: &str) -> Self {
        let others: Vec<String> = others.iter().map(|name| format!("--namespace={name}")).collect();
        let operator = Self::spawn(namespaces, image, &others).await;
        operator.until_ready();
        operator
    }

    /// Starts it with more arguments, and waits for its pages only.
    pub(crate) async fn spawn(namespaces: &[&Namespace], image: &str, more: &[String]) -> Self {
        let home = namespaces[0];
        let files = Scratch::new("operator");
        let config = files.write("kubeconfig", &account(home, namespaces).await);
        let mut command = Command::new(binary("lanyard-operator"));
        command.env("KUBECONFIG", config).env("POD_NAMESPACE", &home.name).env_remove("RUST_LOG");
        command.args(["run", "--http=127.0.0.1:0", "--log-level=info", "--agent-image-pull-policy=Never"]);
        command.arg(format!("--agent-image={image}"));
        // What tests and examples call a DPS, and Azure's own.
        let endpoints =
            ["localhost", "lanyard-emulator.lanyard-system.svc", "*.azure-devices-provisioning.net"];
        command.args(endpoints.map(|host| format!("--dps-endpoint={host}")));
        command.args(namespaces.iter().map(|namespace| format!("--namespace={}", namespace.name)));
        command.args(more);
        let process = Process::spawn("lanyard-operator", command);
        let http =
            eventually("the operator serves pages", Duration::from_secs(30), || address(&process.log()));
        Self { process, http, _files: files }
    }

    /// Waits until it works or is on standby.
    pub(crate) fn until_ready(&self) {
        eventually("the operator is ready", Duration::from_secs(30), || {
            (self.page("/readyz").0 == 200).then_some(())
        });
    }

    /// Returns status and text of one of its pages; the status is 0 if it does not answer.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        http::get(self.http, path).map_or((0, String::new()), |answer| (answer.status, answer.body))
    }

    /// Waits until it has nothing left to do: no look in a second.
    pub(crate) fn until_quiet(&self) {
        let mut last = -1.0;
        eventually("the operator has nothing left to do", Duration::from_secs(30), || {
            let now = self.metric("lanyard_operator_reconciles_total", "");
            std::thread::sleep(Duration::from_secs(1));
            std::mem::replace(&mut last, now).eq(&now).then_some(())
        });
    }

    /// Returns the sum of a metric over all series whose line contains `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let (_, text) = self.page("/metrics");
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

fn address(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("serving /metrics"))?;
    line.split("address=").nth(1)?.split_whitespace().next()?.parse().ok()
}

/// Returns the rules of the chart, which are written nowhere else.
fn rules() -> Vec<PolicyRule> {
    let text = include_str!("../../charts/lanyard/files/operator-rules.yaml");
    let role: Role = serde_saphyr::from_str(&format!("metadata: {{name: x}}\n{text}"))
        .expect("the chart's rules are rules");
    role.rules.expect("the chart has rules")
}

/// Returns the rules for the election of a leader, as in the chart.
fn lease_rules() -> Vec<PolicyRule> {
    let rule = |verbs: &[&str], names: Option<&str>| PolicyRule {
        api_groups: Some(vec!["coordination.k8s.io".to_owned()]),
        resources: Some(vec!["leases".to_owned()]),
        resource_names: names.map(|name| vec![name.to_owned()]),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..PolicyRule::default()
    };
    let events = PolicyRule {
        api_groups: Some(vec!["events.k8s.io".to_owned()]),
        resources: Some(vec!["events".to_owned()]),
        verbs: vec!["create".to_owned(), "patch".to_owned()],
        ..PolicyRule::default()
    };
    vec![rule(&["create"], None), rule(&["get", "update"], Some("lanyard-operator")), events]
}

/// Grants the right to list Leases, as the chart gives it. It is deleted with the namespace.
pub(crate) async fn sees_installations(home: &Namespace) {
    let made = PostParams::default();
    let namespace = Api::<K8sNamespace>::all(home.client.clone()).get(&home.name).await.expect("it was made");
    let meta = ObjectMeta {
        name: Some(format!("{}-installations", home.name)),
        owner_references: namespace.owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    let rule = PolicyRule {
        api_groups: Some(vec!["coordination.k8s.io".to_owned()]),
        resources: Some(vec!["leases".to_owned()]),
        verbs: vec!["list".to_owned()],
        ..PolicyRule::default()
    };
    let role = ClusterRole { metadata: meta.clone(), rules: Some(vec![rule]), ..ClusterRole::default() };
    Api::all(home.client.clone()).create(&made, &role).await.expect("a ClusterRole can be made");
    let binding = ClusterRoleBinding {
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "ClusterRole".to_owned(),
            name: meta.name.clone().unwrap_or_default(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: ACCOUNT.to_owned(),
            namespace: Some(home.name.clone()),
            ..Subject::default()
        }]),
        metadata: meta,
    };
    Api::all(home.client.clone()).create(&made, &binding).await.expect("a ClusterRoleBinding can be made");
}

/// Returns a kubeconfig with the token of a ServiceAccount in `home` that may in `namespaces` what the chart allows.
pub(crate) async fn account(home: &Namespace, namespaces: &[&Namespace]) -> String {
    let meta = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let made = PostParams::default();
    // A second operator in the namespace shares the account.
    let _ = home
        .api()
        .create(&made, &ServiceAccount { metadata: meta(ACCOUNT), ..ServiceAccount::default() })
        .await;
    for namespace in namespaces {
        let mut rules = rules();
        if namespace.name == home.name {
            rules.extend(lease_rules());
        }
        let _ = namespace.api().create(&made, &Role { metadata: meta(ACCOUNT), rules: Some(rules) }).await;
        let binding = RoleBinding {
            metadata: meta(ACCOUNT),
            role_ref: RoleRef {
                api_group: Some("rbac.authorization.k8s.io".to_owned()),
                kind: "Role".to_owned(),
                name: ACCOUNT.to_owned(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name: ACCOUNT.to_owned(),
                namespace: Some(home.name.clone()),
                ..Subject::default()
            }]),
        };
        let _ = namespace.api().create(&made, &binding).await;
    }
    let request = TokenRequest {
        spec: Some(TokenRequestSpec { expiration_seconds: Some(3600), ..Default::default() }),
        ..Default::default()
    };
    let token = home
        .api::<ServiceAccount>()
        .create_token_request(ACCOUNT, &made, &request)
        .await
        .expect("the API server gives tokens");
    let token = token.status.expect("an answered request has a status").token;
    let mut config = serde_json::to_value(Kubeconfig::read_from(kubeconfig()).expect("it was read before"))
        .expect("it is text");
    for user in config["users"].as_array_mut().into_iter().flatten() {
        user["user"] = serde_json::json!({"token": token});
    }
    config.to_string()
}

/// Returns the condition of this type, of a device or a group.
pub(crate) fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Returns whether a device has a condition for its newest generation.
pub(crate) fn is(device: &IoTDevice, type_: &str, status: &str, reason: &str) -> bool {
    let Some(reported) = device
        .status
        .as_ref()
        .filter(|reported| Some(reported.observed_generation) == device.metadata.generation)
    else {
        return false;
    };
    condition(&reported.conditions, type_).is_some_and(|condition| {
        condition.status == status && (reason.is_empty() || condition.reason == reason)
    })
}

/// Returns whether a group has a condition for its newest generation.
pub(crate) fn group_is(group: &ProvisioningGroup, type_: &str, status: &str, reason: &str) -> bool {
    let Some(reported) = group
        .status
        .as_ref()
        .filter(|reported| Some(reported.observed_generation) == group.metadata.generation)
    else {
        return false;
    };
    condition(&reported.conditions, type_).is_some_and(|condition| {
        condition.status == status && (reason.is_empty() || condition.reason == reason)
    })
}

/// Waits until a device has credentials.
pub(crate) async fn issued(namespace: &Namespace, name: &str) -> IoTDevice {
    namespace
        .wait(name, "its credentials are ready", |device: &IoTDevice| {
            is(device, "CredentialsReady", "True", "Issued")
        })
        .await
}
