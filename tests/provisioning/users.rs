//! People whom the API server knows by name, with no right but those that a test gives. Writes the cluster.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::{Namespace, kubeconfig, within};
use serde_json::{Value, json};

/// User of the API server, with the rights that a test grants.
pub(crate) struct User(pub(crate) String);

pub(crate) fn as_user(name: &str) -> User {
    User(name.to_owned())
}

impl User {
    pub(crate) async fn client(&self) -> Client {
        let read = Kubeconfig::read_from(kubeconfig()).unwrap();
        let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        config.auth_info.impersonate = Some(self.0.clone());
        Client::try_from(config).unwrap()
    }

    /// Returns an API for the objects of one kind, with this user's rights.
    pub(crate) async fn sees<K>(&self, namespace: &Namespace) -> kube::Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        kube::Api::namespaced(self.client().await, &namespace.name)
    }

    /// Returns the namespace with this user's rights.
    pub(crate) async fn at(&self, namespace: &Namespace) -> UserNamespace {
        UserNamespace { client: self.client().await, namespace: namespace.name.clone() }
    }
}

/// A namespace and the client of its user.
pub(crate) struct UserNamespace {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl UserNamespace {
    pub(crate) fn api<K>(&self) -> kube::Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        kube::Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn create_device(&self, name: &str, spec: Value) -> Result<(), String> {
        let device: IoTDevice = serde_json::from_value(object("IoTDevice", name, &spec)).unwrap();
        api_message(self.api::<IoTDevice>().create(&PostParams::default(), &device).await)
    }

    pub(crate) async fn patch_device(&self, name: &str, spec: Value) -> Result<(), String> {
        let patch = Patch::Merge(json!({"spec": spec}));
        api_message(self.api::<IoTDevice>().patch(name, &PatchParams::default(), &patch).await)
    }

    pub(crate) async fn patch_group(&self, name: &str, spec: Value) -> Result<(), String> {
        let patch = Patch::Merge(json!({"spec": spec}));
        api_message(self.api::<ProvisioningGroup>().patch(name, &PatchParams::default(), &patch).await)
    }
}

pub(crate) fn api_message<T>(answer: kube::Result<T>) -> Result<(), String> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
pub(crate) fn refused(answer: &Result<(), String>, words: &[&str]) {
    let Err(message) = answer else { panic!("not refused; expected {words:?}") };
    for word in words {
        assert!(message.contains(word), "{message}");
    }
}

pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "lanyard.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

pub(crate) fn rule(group: &str, resource: &str, verbs: &[&str], names: &[&str]) -> PolicyRule {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(texts(&[group])),
        resources: Some(texts(&[resource])),
        resource_names: (!names.is_empty()).then(|| texts(names)),
        verbs: texts(verbs),
        ..PolicyRule::default()
    }
}

/// Gives a user a role in a namespace, and waits until the API server grants it: its authorizer learns roles by a watch.
pub(crate) async fn role(namespace: &Namespace, name: &str, user: &User, rules: Value) {
    let meta = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let rules: Vec<PolicyRule> = serde_json::from_value(rules).unwrap();
    let last = rules.last().cloned().unwrap();
    let made = PostParams::default();
    namespace.api().create(&made, &Role { metadata: meta.clone(), rules: Some(rules) }).await.unwrap();
    let group = "rbac.authorization.k8s.io".to_owned();
    let binding = RoleBinding {
        metadata: meta,
        role_ref: RoleRef { api_group: Some(group.clone()), kind: "Role".to_owned(), name: name.to_owned() },
        subjects: Some(vec![Subject {
            api_group: Some(group),
            kind: "User".to_owned(),
            name: user.0.clone(),
            ..Subject::default()
        }]),
    };
    namespace.api().create(&made, &binding).await.unwrap();
    let first = |texts: Option<Vec<String>>| texts.and_then(|texts| texts.into_iter().next());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace.name.clone()),
                group: first(last.api_groups),
                resource: first(last.resources),
                name: first(last.resource_names),
                verb: last.verbs.first().cloned(),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: kube::Api<SelfSubjectAccessReview> = kube::Api::all(user.client().await);
    let granted = async {
        while !reviews.create(&made, &review).await.unwrap().status.is_some_and(|status| status.allowed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the role is granted", Box::pin(granted)).await;
}

/// Creates the plant engineer, who writes devices and groups, and has no right on Secrets.
pub(crate) async fn engineer(plant: &Namespace) -> (User, UserNamespace) {
    let user = as_user("engineer");
    let verbs = ["get", "create", "update", "patch"];
    let rules = [
        rule("lanyard.dev", "iotdevices", &verbs, &[]),
        rule("lanyard.dev", "provisioninggroups", &verbs, &[]),
    ];
    role(plant, "engineer", &user, json!(rules)).await;
    let objects = user.at(plant).await;
    (user, objects)
}
