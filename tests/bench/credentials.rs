//! From applying devices to their credentials being ready, beside a bare client that makes the same writes. Writes the
//! cluster, in namespaces of its own whose quota lets no pod start.

use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Namespace, ResourceQuota, Secret},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{
        WatchStreamExt,
        wait::{await_condition, conditions},
        watcher,
    },
};
use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::authority::Authority;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::figure::Figure;
use crate::programs::Operator;

/// Number of concurrent writes of the bare client.
const AT_ONCE: usize = 8;
const GROUP_KEY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
const LIMIT: Duration = Duration::from_secs(600);

/// A group to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CredentialsCase {
    pub(crate) name: &'static str,
    pub(crate) devices: usize,
    pub(crate) attestation: Attestation,
    /// True if each device gets an agent workload; its pod never starts. Thousands of them would keep Kubernetes' own
    /// controllers busy, and that would be measured.
    pub(crate) agents: bool,
}

/// Attestation of the group's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attestation {
    /// With keys derived from the group's.
    SymmetricKey,
    /// With certificates, P-256, that the group's CA signs.
    X509,
}

/// Measures how long the devices of a new group take with the operator running, beside the same writes by a bare client
/// without it.
pub(crate) async fn measure(
    client: &Client,
    operator: Operator,
    case: CredentialsCase,
) -> Result<Figure, Failure> {
    let authority = Authority::root("bench");
    let namespace = Scratch::create(client, "bench-operator").await?;
    let with_operator = by_operator(client, &namespace.name, case, &authority).await?;
    let written = written(client, &namespace.name, case).await?;
    // Only the bare client may write while the reference is measured.
    drop(operator);
    namespace.delete(client).await?;

    let namespace = Scratch::create(client, "bench-floor").await?;
    let floor = by_bare_client(client, &namespace.name, &written, case.attestation, &authority).await?;
    namespace.delete(client).await?;
    Ok(Figure::beside(case.name, with_operator.as_secs_f64(), "s", floor.as_secs_f64(), 1.5))
}

fn resource(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("lanyard.dev", "v1alpha1", kind))
}

pub(crate) fn device_name(number: usize) -> String {
    format!("bench-{number:03}")
}

pub(crate) async fn by_operator(
    client: &Client,
    namespace: &str,
    CredentialsCase { devices, attestation, agents, .. }: CredentialsCase,
    authority: &Authority,
) -> Result<Duration, Failure> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bench-key"},
        "stringData": {"primaryKey": GROUP_KEY, "tls.crt": authority.chain, "tls.key": authority.key()},
    });
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    secrets.patch("bench-key", &apply(), &Patch::Apply(secret)).await?;
    let groups: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &resource("ProvisioningGroup"));
    let group = json!({
        "apiVersion": "lanyard.dev/v1alpha1", "kind": "ProvisioningGroup", "metadata": {"name": "bench"},
        "spec": {
            "dps": {"idScope": "0ne00ABCDEF", "endpoint": "dps.invalid"},
            "attestation": match attestation {
                Attestation::SymmetricKey => json!({"symmetricKey": {"secretRef": {"name": "bench-key"}}}),
                Attestation::X509 => json!({"x509": {"issuer": {"secretRef": {"name": "bench-key"}}}}),
            },
            "template": {
                "agent": {"mode": if agents { "Dedicated" } else { "None" }},
                "sources": [{"name": "sim", "simulator": {}}],
                "tags": [{"name": "Ramp", "source": "sim", "address": "RAMP(1000, 0, 100, 1)"}],
            },
        },
    });
    groups.patch("bench", &apply(), &Patch::Apply(group)).await?;

    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource("IoTDevice"));
    // A watch and no polling: the measurement must not be what the API server is busy with.
    let mut seen = pin!(watcher(api.clone(), watcher::Config::default()).applied_objects());
    let started = Instant::now();
    let mut ready = HashSet::new();
    let all_ready = async {
        while ready.len() < devices {
            if let Some(device) = seen.try_next().await?
                && credentials_are_ready(&device)
            {
                ready.insert(device.name_any());
            }
        }
        Ok::<_, Failure>(started.elapsed())
    };
    let spec = json!({"groupRef": {"name": "bench"}});
    let created = create_devices(&api, devices, &spec);
    let (_, took) = futures::try_join!(created, async { tokio::time::timeout(LIMIT, all_ready).await? })?;
    Ok(took)
}

fn credentials_are_ready(device: &DynamicObject) -> bool {
    let conditions = device.data.pointer("/status/conditions").and_then(Value::as_array);
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "CredentialsReady" && c["status"] == "True"))
}

/// Objects that the operator wrote, for writing them again elsewhere.
struct Written {
    device: Value,
    secret: Value,
    /// Of the agent, where there is one.
    config: Option<Value>,
    workload: Option<Value>,
    status: Value,
}

async fn written(
    client: &Client,
    namespace: &str,
    CredentialsCase { devices, .. }: CredentialsCase,
) -> Result<Vec<Written>, Failure> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource("IoTDevice"));
    let (secrets, configs) = (
        Api::<Secret>::namespaced(client.clone(), namespace),
        Api::<ConfigMap>::namespaced(client.clone(), namespace),
    );
    let workloads = Api::<StatefulSet>::namespaced(client.clone(), namespace);
    let mut all = Vec::with_capacity(devices);
    for number in 0..devices {
        let name = device_name(number);
        let device = serde_json::to_value(api.get(&name).await?)?;
        all.push(Written {
            status: json!({"apiVersion": "lanyard.dev/v1alpha1", "kind": "IoTDevice", "metadata": {"name": name},
                "status": device["status"]}),
            device: json!({"apiVersion": "lanyard.dev/v1alpha1", "kind": "IoTDevice", "metadata": {"name": name}, "spec": device["spec"]}),
            secret: bare("v1", "Secret", &serde_json::to_value(secrets.get(&format!("{name}-credentials")).await?)?),
            config: agent_object(&configs, &name, "v1", "ConfigMap").await?,
            workload: agent_object(&workloads, &name, "apps/v1", "StatefulSet").await?,
        });
    }
    Ok(all)
}

async fn agent_object<K>(
    api: &Api<K>,
    device: &str,
    version: &str,
    kind: &str,
) -> Result<Option<Value>, Failure>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let found = api.get_opt(&format!("{device}-agent")).await?;
    Ok(found.map(|found| serde_json::to_value(found).map(|found| bare(version, kind, &found))).transpose()?)
}

/// Returns the object without its owner and without the fields that the API server added.
fn bare(version: &str, kind: &str, object: &Value) -> Value {
    let mut copy = object.clone();
    copy["apiVersion"] = json!(version);
    copy["kind"] = json!(kind);
    copy["metadata"] = json!({"name": object["metadata"]["name"], "labels": object["metadata"]["labels"]});
    if let Some(fields) = copy.as_object_mut() {
        fields.remove("status");
    }
    copy
}

async fn by_bare_client(
    client: &Client,
    namespace: &str,
    all: &[Written],
    attestation: Attestation,
    authority: &Authority,
) -> Result<Duration, Failure> {
    let devices: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource("IoTDevice"));
    let (secrets, configs) = (
        Api::<Secret>::namespaced(client.clone(), namespace),
        Api::<ConfigMap>::namespaced(client.clone(), namespace),
    );
    let workloads = Api::<StatefulSet>::namespaced(client.clone(), namespace);
    let group_key = SymmetricKey::from_base64(GROUP_KEY)?;
    let started = Instant::now();
    stream::iter(all.iter().enumerate())
        .map(Ok::<_, Failure>)
        .try_for_each_concurrent(AT_ONCE, |(number, item)| {
            let (devices, secrets, configs, workloads) = (&devices, &secrets, &configs, &workloads);
            let group_key = &group_key;
            async move {
                let name = device_name(number);
                let credential = match attestation {
                    Attestation::SymmetricKey => {
                        json!({"sharedAccessKey": group_key.derive(&name).to_base64().as_str()})
                    }
                    Attestation::X509 => {
                        let (chain, key) = authority.leaf(&name);
                        json!({"tls.crt": chain, "tls.key": key})
                    }
                };
                devices.patch(&name, &apply(), &Patch::Apply(&item.device)).await?;
                let mut secret = item.secret.clone();
                secret["stringData"] = credential;
                secrets.patch(&format!("{name}-credentials"), &apply(), &Patch::Apply(&secret)).await?;
                if let Some(config) = &item.config {
                    configs.patch(&format!("{name}-agent"), &apply(), &Patch::Apply(config)).await?;
                }
                if let Some(workload) = &item.workload {
                    workloads.patch(&format!("{name}-agent"), &apply(), &Patch::Apply(workload)).await?;
                }
                devices.patch_status(&name, &PatchParams::default(), &Patch::Merge(&item.status)).await?;
                Ok(())
            }
        })
        .await?;
    Ok(started.elapsed())
}

async fn create_devices(api: &Api<DynamicObject>, devices: usize, spec: &Value) -> Result<(), Failure> {
    stream::iter(0..devices)
        .map(|number| async move {
            let name = device_name(number);
            let device = json!({"apiVersion": "lanyard.dev/v1alpha1", "kind": "IoTDevice", "metadata": {"name": name}, "spec": spec});
            api.patch(&name, &apply(), &Patch::Apply(device)).await
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(())
}

fn apply() -> PatchParams {
    PatchParams::apply("lanyard-bench").force()
}

/// A namespace of the benchmark's own, in which no pod starts.
pub(crate) struct Scratch {
    pub(crate) name: String,
}

impl Scratch {
    pub(crate) async fn create(client: &Client, prefix: &str) -> Result<Self, Failure> {
        let namespace = serde_json::from_value(json!({"metadata": {"generateName": format!("{prefix}-")}}))?;
        let name = Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await?
            .name_any();
        let quota = serde_json::from_value(
            json!({"metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}}),
        )?;
        Api::<ResourceQuota>::namespaced(client.clone(), &name)
            .create(&PostParams::default(), &quota)
            .await?;
        Ok(Self { name })
    }

    /// Returns when all is gone: what the cluster still deletes, the next measurement would measure.
    pub(crate) async fn delete(self, client: &Client) -> Result<(), Failure> {
        let namespaces = Api::<Namespace>::all(client.clone());
        let uid = namespaces.get(&self.name).await?.uid().unwrap_or_default();
        namespaces.delete(&self.name, &DeleteParams::background()).await?;
        let gone = await_condition(namespaces, &self.name, conditions::is_deleted(&uid));
        tokio::time::timeout(LIMIT, gone).await??;
        Ok(())
    }
}
