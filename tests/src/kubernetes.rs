//! A real Kubernetes for tests: namespaces that vanish with the test, waits for conditions, and a dump of everything when
//! one fails. Writes the cluster.

#![allow(clippy::panic, reason = "a wait that fails is a test that fails")]

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace as K8sNamespace, Pod, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams, PostParams, ValidationDirective,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Maximum time that a test waits for anything.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Written by `make cluster-up LANYARD_CLUSTER=test`: not the demo's cluster, whose operator works in every namespace.
const OWN_KUBECONFIG: &str = "target/kubernetes/clusters/test/kubeconfig";

/// Returns the path of the kubeconfig: `KUBECONFIG`, or that of the tests' own cluster.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn kubeconfig() -> PathBuf {
    let named = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(OWN_KUBECONFIG));
    assert!(
        path.is_file(),
        "no cluster: {} is missing; run `make cluster-up LANYARD_CLUSTER=test`, or name a cluster with KUBECONFIG",
        path.display()
    );
    path
}

/// Creates a client of the cluster and installs the CRDs of this checkout.
///
/// # Panics
/// When no cluster answers.
pub async fn connect() -> Client {
    // Another test of the process may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let path = kubeconfig();
    let read = Kubeconfig::read_from(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    let config = config.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let client = Client::try_from(config).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if let Err(error) = client.apiserver_version().await {
        panic!(
            "the cluster of {} does not answer ({error}); run `make cluster-up LANYARD_CLUSTER=test`",
            path.display()
        );
    }
    install_crds(&client).await;
    client
}

async fn install_crds(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in lanyard_crds::schema::definitions() {
        let name = definition.name_any();
        let how = PatchParams::apply("lanyard-tests").force();
        api.patch(&name, &how, &Patch::Apply(&definition))
            .await
            .unwrap_or_else(|error| panic!("CRD {name}: {error}"));
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        within(&format!("CRD {name} is established"), established).await.expect("the watch works");
    }
}

/// Waits, but not for ever.
///
/// # Panics
/// After [`LIMIT`].
pub async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, wait).await {
        Ok(value) => value,
        Err(_) => panic!("timed out after {} s waiting for: {what}", LIMIT.as_secs()),
    }
}

/// A namespace of one test. It is deleted when it goes out of scope; when the test fails, everything in it is shown first.
pub struct Namespace {
    /// A client of the cluster.
    pub client: Client,
    /// Its name.
    pub name: String,
}

impl Namespace {
    /// Creates a namespace whose name begins with `test-` and the prefix.
    ///
    /// # Panics
    /// When no cluster answers.
    pub async fn new(prefix: &str) -> Self {
        let client = connect().await;
        let mut namespace = K8sNamespace::default();
        namespace.metadata.generate_name = Some(format!("test-{prefix}-"));
        // As strict as a namespace can be: what cannot live here is no agent.
        namespace.metadata.labels =
            Some([("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())].into());
        let made = Api::<K8sNamespace>::all(client.clone()).create(&PostParams::default(), &namespace).await;
        let name = made.unwrap_or_else(|error| panic!("cannot make a namespace: {error}")).name_any();
        Self { client, name }
    }

    /// Returns an API for the objects of one kind in it.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Applies every document of a YAML text as `kubectl apply --server-side` does, unknown fields refused.
    ///
    /// # Errors
    /// What the API server says of the first document that it refuses.
    ///
    /// # Panics
    /// When the text is no YAML, or names a kind that the cluster does not have.
    pub async fn try_apply(&self, yaml: &str) -> Result<(), kube::Error> {
        for document in yaml
            .split("\n---")
            .filter(|document| document.lines().any(|line| line.trim_start() == line && line.contains(':')))
        {
            let object: DynamicObject =
                serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"));
            let types = object
                .types
                .clone()
                .unwrap_or_else(|| panic!("apiVersion and kind are missing:\n{document}"));
            let kind =
                GroupVersionKind::try_from(&types).unwrap_or_else(|error| panic!("{error}:\n{document}"));
            let (resource, _) = kube::discovery::pinned_kind(&self.client, &kind).await?;
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.name, &resource);
            let how = PatchParams {
                field_validation: Some(ValidationDirective::Strict),
                ..PatchParams::apply("kubectl").force()
            };
            api.patch(&object.name_any(), &how, &Patch::Apply(&object)).await?;
        }
        Ok(())
    }

    /// Applies every document of a YAML text.
    ///
    /// # Panics
    /// When the API server refuses one.
    pub async fn apply(&self, yaml: &str) {
        if let Err(error) = self.try_apply(yaml).await {
            panic!("refused: {error}\n{yaml}");
        }
    }

    /// Returns the API server's refusal of a YAML text.
    ///
    /// # Panics
    /// The server accepts it.
    pub async fn refusal(&self, yaml: &str) -> String {
        match self.try_apply(yaml).await {
            Err(kube::Error::Api(status)) => status.message.clone(),
            Err(error) => panic!("no refusal but an error: {error}\n{yaml}"),
            Ok(()) => panic!("not refused:\n{yaml}"),
        }
    }

    /// Changes an object by a JSON merge patch, whoever owns it.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub async fn change<K>(&self, name: &str, patch: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let changed = self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        changed.unwrap_or_else(|error| panic!("{} {name}: {error}", K::kind(&())))
    }

    /// Waits until an object is as `condition` says, and returns it.
    ///
    /// # Panics
    /// After [`LIMIT`], with the object as it is.
    pub async fn wait<K>(&self, name: &str, what: &str, condition: impl Fn(&K) -> bool + Send) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let wait = async {
            loop {
                let met = |object: Option<&K>| object.is_some_and(&condition);
                match Box::pin(await_condition(self.api::<K>(), name, met)).await {
                    Ok(Some(object)) => return object,
                    // A watch may run out or break off; the next one sees what this one missed.
                    Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        match tokio::time::timeout(LIMIT, wait).await {
            Ok(object) => object,
            Err(_) => {
                panic!("timed out after {} s waiting for {} {name}: {what}", LIMIT.as_secs(), K::kind(&()))
            }
        }
    }

    /// Waits until an object is gone.
    ///
    /// # Panics
    /// After [`LIMIT`].
    pub async fn wait_gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let gone = |object: Option<&K>| object.is_none();
        let wait = async { while Box::pin(await_condition(self.api::<K>(), name, gone)).await.is_err() {} };
        within(&format!("{} {name} is gone", K::kind(&())), Box::pin(wait)).await;
    }

    /// Returns the text under a key of a Secret.
    ///
    /// # Panics
    /// When there is none.
    pub async fn secret_text(&self, name: &str, key: &str) -> String {
        let secret =
            self.api::<Secret>().get(name).await.unwrap_or_else(|error| panic!("Secret {name}: {error}"));
        secret_text(&secret, key)
    }

    /// Deletes it and waits until nothing is left.
    ///
    /// # Panics
    /// When something holds it for more than a minute.
    pub async fn delete(&self) {
        let api: Api<K8sNamespace> = Api::all(self.client.clone());
        api.delete(&self.name, &DeleteParams::default()).await.expect("a namespace can be deleted");
        let gone = await_condition(api, &self.name, |namespace: Option<&K8sNamespace>| namespace.is_none());
        match tokio::time::timeout(LIMIT * 2, gone).await {
            Ok(gone) => {
                gone.expect("the watch works");
            }
            Err(_) => panic!("namespace {} is not gone after a minute", self.name),
        }
    }
}

/// Returns the text under a key of a Secret.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn secret_text(secret: &Secret, key: &str) -> String {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    let bytes = bytes.unwrap_or_else(|| panic!("Secret {} has no {key}", secret.name_any()));
    String::from_utf8(bytes.0.clone()).expect("keys are text")
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let (name, failed) = (self.name.clone(), std::thread::panicking());
        // Runs on a thread with its own runtime and client: the test's runtime may be ending.
        let end = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let read = Kubeconfig::read_from(kubeconfig()).map_err(std::io::Error::other)?;
                let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
                let client = Client::try_from(config.map_err(std::io::Error::other)?)
                    .map_err(std::io::Error::other)?;
                if failed {
                    dump(&client, &name).await;
                }
                // It may be gone already.
                let _ = Api::<K8sNamespace>::all(client).delete(&name, &DeleteParams::default()).await;
                Ok::<(), std::io::Error>(())
            })
        };
        match std::thread::spawn(end).join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => println!("namespace {} stays: {error}", self.name),
            Err(_) => println!("namespace {} stays", self.name),
        }
    }
}

/// Prints everything in a namespace that helps to understand a failure; no values of Secrets.
pub async fn dump(client: &Client, namespace: &str) {
    println!("==== namespace {namespace} ====");
    dump_kind::<lanyard_crds::ProvisioningGroup>(client, namespace, |object| text(&object.status)).await;
    dump_kind::<lanyard_crds::IoTDevice>(client, namespace, |object| text(&object.status)).await;
    dump_kind::<k8s_openapi::api::apps::v1::StatefulSet>(client, namespace, |object| text(&object.status))
        .await;
    dump_kind::<Secret>(client, namespace, |object| {
        text(&object.data.as_ref().map(|data| data.keys().collect::<Vec<_>>()))
    })
    .await;
    dump_kind::<k8s_openapi::api::core::v1::ConfigMap>(client, namespace, |object| {
        text(&object.metadata.owner_references)
    })
    .await;
    dump_kind::<Pod>(client, namespace, |object| text(&object.status)).await;
    dump_kind::<k8s_openapi::api::events::v1::Event>(client, namespace, |event| {
        let regarding = event.regarding.as_ref().and_then(|object| object.name.clone()).unwrap_or_default();
        format!(
            "{regarding}: {} {}",
            event.reason.clone().unwrap_or_default(),
            event.note.clone().unwrap_or_default()
        )
    })
    .await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in pods.list(&ListParams::default()).await.into_iter().flatten() {
        let logs =
            pods.logs(&pod.name_any(), &LogParams { tail_lines: Some(100), ..LogParams::default() }).await;
        println!(
            "---- log of pod {} ----\n{}",
            pod.name_any(),
            logs.unwrap_or_else(|error| error.to_string())
        );
    }
    println!("==== end of namespace {namespace} ====");
}

async fn dump_kind<K>(client: &Client, namespace: &str, show: impl Fn(&K) -> String)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    match Api::<K>::namespaced(client.clone(), namespace).list(&ListParams::default()).await {
        Ok(list) => {
            for object in list {
                println!("{} {}: {}", K::kind(&()), object.name_any(), show(&object));
            }
        }
        Err(error) => println!("{}: {error}", K::kind(&())),
    }
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
