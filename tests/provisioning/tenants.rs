//! Two tenants with a namespace each and a plant engineer's rights: neither can harm the other, and no stranger's pod is believed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use lanyard_crds::IoTDevice;
use lanyard_tests::kubernetes::Namespace;
use serde_json::{Value, json};

use crate::authority::{Authority, usual};
use crate::operator::{Operator, condition, is, issued};
use crate::users::{as_user, role, rule};
use crate::yaml::{K32, group, member, secret};

/// Creates a client of a tenant who may write devices, groups, ConfigMaps and pods of one namespace, and no Secrets.
async fn tenant(namespace: &Namespace, user: &str) -> Client {
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
    let rules = [
        rule("", "configmaps", &verbs, &[]),
        rule("", "pods", &verbs, &[]),
        rule("lanyard.dev", "provisioninggroups", &verbs, &[]),
        rule("lanyard.dev", "iotdevices", &verbs, &[]),
    ];
    let user = as_user(user);
    role(namespace, "engineer", &user, json!(rules)).await;
    user.client().await
}

fn devices(client: &Client, namespace: &Namespace) -> Api<IoTDevice> {
    Api::namespaced(client.clone(), &namespace.name)
}

async fn patch(api: &Api<IoTDevice>, name: &str, change: Value) -> Result<IoTDevice, kube::Error> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await
}

async fn create(api: &Api<IoTDevice>, name: &str, spec: Value) -> IoTDevice {
    let object = json!({"apiVersion": "lanyard.dev/v1alpha1", "kind": "IoTDevice", "metadata": {"name": name}, "spec": spec});
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
}

/// Something that answers `GET /status` where a pod's address leads, and counts the questions.
struct Answerer {
    address: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<String>>,
}

impl Answerer {
    fn new() -> Self {
        let bind = |_| {
            let address = format!(
                "127.{}.{}.{}",
                rand::random_range(1..255),
                rand::random_range(1..255),
                rand::random_range(1..255)
            );
            TcpListener::bind((address.as_str(), 9090)).ok().map(|listener| (address, listener))
        };
        let (address, listener) = (0..20).find_map(bind).expect("one of twenty addresses is free");
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
        let (counter, text) = (Arc::clone(&asked), Arc::clone(&answer));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0; 1024]);
                let body = text.lock().unwrap().clone();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { address, asked, answer }
    }

    /// Lets an agent report that its device is connected.
    fn connected(&self, name: &str, uid: &str, hub: &str) {
        *self.answer.lock().unwrap() = json!({"version": 1, "agentVersion": "0", "devices": [{
            "name": name, "deviceId": name, "uid": uid, "assignedHub": hub,
            "connection": {"state": "Connected", "since": "2026-01-02T03:04:05Z", "reason": "Connected"},
        }]})
        .to_string();
    }

    /// Makes a pod, which no node takes, look as if it ran at this address.
    async fn plays(&self, namespace: &Namespace, pod: &str) {
        let status = json!({"status": {
            "phase": "Running", "podIP": self.address, "podIPs": [{"ip": self.address}],
            "containerStatuses": [{"name": "agent", "image": "i", "imageID": "i", "ready": true, "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}],
        }});
        let api = namespace.api::<Pod>();
        api.patch_status(pod, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
}

/// Changes a spec so that its agent fits no node, and no kubelet writes its pod's status.
fn parked(mut spec: Value) -> Value {
    spec["agent"] = json!({"nodeSelector": {"lanyard.test/nowhere": "true"}});
    spec
}

/// Creates the victim's device with a stand-in for its agent, and waits until it is connected.
async fn connected(namespace: &Namespace, name: &str, spec: Value) -> (IoTDevice, Answerer) {
    namespace.apply(&secret(&format!("{name}-key"), "primaryKey", K32)).await;
    let device = create(&namespace.api(), name, parked(spec)).await;
    let agent = Answerer::new();
    agent.connected(name, &device.uid().unwrap(), "hub.example");
    let pod = format!("{name}-agent-0");
    namespace.wait(&pod, "Kubernetes makes the pod", |_: &Pod| true).await;
    agent.plays(namespace, &pod).await;
    let device = namespace
        .wait(name, "it is connected", |device: &IoTDevice| {
            is(device, "Ready", "True", "Connected")
                && device.status.as_ref().is_some_and(|status| status.claim.is_some())
        })
        .await;
    (device, agent)
}

fn own_dps(name: &str) -> Value {
    json!({"dps": {"idScope": "0ne00VICTIM", "endpoint": "localhost",
        "auth": {"symmetricKey": {"secretRef": {"name": format!("{name}-key")}}}}})
}

async fn uids(namespace: &Namespace, name: &str) -> [Option<String>; 2] {
    let workload = namespace.api::<StatefulSet>().get(&format!("{name}-agent")).await.unwrap();
    let secret = namespace.api::<Secret>().get(&format!("{name}-credentials")).await.unwrap();
    [workload.metadata.uid, secret.metadata.uid]
}

#[tokio::test]
async fn h1_old_object_repointed_at_running_device_is_refused() {
    let (victim, attacker) = (Namespace::new("victim").await, Namespace::new("attacker").await);
    let operator = Operator::start(&[&victim, &attacker]).await;
    let mallory = devices(&tenant(&attacker, "mallory").await, &attacker);
    // Her object is older, and claims nothing of the victim yet.
    let hub = json!({"hub": {"hostname": "other.example", "auth": {"selfSigned": {}}}});
    create(&mallory, "press-17", parked(hub)).await;
    issued(&attacker, "press-17").await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let (_, _agent) = connected(&victim, "press-17", own_dps("press-17")).await;
    let before = uids(&victim, "press-17").await;

    let refused = patch(&mallory, "press-17", json!({"spec": {"hub": {"hostname": "hub.example"}}})).await;
    assert!(refused.unwrap_err().to_string().contains("hub.hostname cannot be changed"));
    // She has no right on a status, so that she cannot write a proof herself.
    let proof = json!({"status": {"claim": {"identities": ["dps:0ne00VICTIM/press-17"], "since": "2020-01-01T00:00:00Z", "uid": "x"}}});
    let forged = mallory.patch_status("press-17", &PatchParams::default(), &Patch::Merge(proof)).await;
    assert!(matches!(forged, Err(kube::Error::Api(status)) if status.code == 403));
    let dps = json!({"idScope": "0ne00VICTIM", "endpoint": "localhost", "auth": {"selfSigned": {}}});
    patch(&mallory, "press-17", json!({"spec": {"hub": null, "dps": dps}})).await.unwrap();
    let refused = attacker
        .wait("press-17", "it is refused", |device: &IoTDevice| {
            is(device, "Stalled", "True", "DuplicateDeviceId")
        })
        .await;
    let actual = condition(&refused.status.as_ref().unwrap().conditions, "Ready").unwrap().message.clone();
    assert!(actual.contains("in another namespace") && !actual.contains(&victim.name), "{actual}");
    operator.until_quiet();
    assert!(operator.process.log().contains(&format!("{}/press-17", victim.name)), "the log names it");
    let device = victim.api::<IoTDevice>().get("press-17").await.unwrap();
    assert!(is(&device, "Ready", "True", "Connected"));
    assert_eq!(uids(&victim, "press-17").await, before, "nothing of it was taken away");
    assert!(attacker.api::<StatefulSet>().get_opt("press-17-agent").await.unwrap().is_none());
    // The other way round: idScope and registrationId cannot be changed either.
    for change in [json!({"idScope": "0neOTHER"}), json!({"registrationId": "press-18"})] {
        let refused = patch(&victim.api(), "press-17", json!({"spec": {"dps": change}})).await;
        assert!(refused.unwrap_err().to_string().contains("cannot be changed"), "{change}");
    }
    let scope = json!({"spec": {"dps": {"idScope": "0neOTHER"}}});
    victim.apply(&group()).await;
    let groups = victim.api::<lanyard_crds::ProvisioningGroup>();
    let refused = groups.patch("plant", &PatchParams::default(), &Patch::Merge(scope)).await;
    assert!(refused.unwrap_err().to_string().contains("idScope cannot be changed"));
}

#[tokio::test]
async fn h1_an_object_without_a_credential_claims_nothing() {
    let (victim, attacker) = (Namespace::new("victim").await, Namespace::new("attacker").await);
    let _operator = Operator::start(&[&victim, &attacker]).await;
    let mallory = devices(&tenant(&attacker, "mallory").await, &attacker);
    create(&mallory, "press-17", parked(own_dps("press-17"))).await;
    create(&mallory, "blocked", {
        let mut spec = parked(own_dps("press-17"));
        spec["dps"]["auth"] = json!({"selfSigned": {}});
        (spec["deviceId"], spec["blocked"]) = (json!("press-17"), json!(true));
        spec
    })
    .await;
    attacker
        .wait("press-17", "it has no key", |device: &IoTDevice| {
            is(device, "Stalled", "True", "SecretNotFound")
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    connected(&victim, "press-17", own_dps("press-17")).await;
}

#[tokio::test]
async fn m6_an_assigned_hub_is_not_shared_with_a_direct_device() {
    let (victim, attacker) = (Namespace::new("victim").await, Namespace::new("attacker").await);
    let _operator = Operator::start(&[&victim, &attacker]).await;
    let mallory = devices(&tenant(&attacker, "mallory").await, &attacker);
    let (_, _agent) = connected(&victim, "press-17", own_dps("press-17")).await;
    let hub = json!({"hub": {"hostname": "HUB.example", "auth": {"selfSigned": {}}}});
    create(&mallory, "press-17", parked(hub)).await;
    attacker
        .wait("press-17", "it is refused", |device: &IoTDevice| {
            is(device, "Stalled", "True", "DuplicateDeviceId")
        })
        .await;
    assert!(is(&victim.api::<IoTDevice>().get("press-17").await.unwrap(), "Ready", "True", "Connected"));
}

#[tokio::test]
async fn m7_a_pod_with_the_label_is_not_the_agent() {
    let namespace = Namespace::new("pods").await;
    let operator = Operator::start(&[&namespace]).await;
    let mallory = tenant(&namespace, "mallory").await;
    let (device, agent) = connected(&namespace, "press-17", own_dps("press-17")).await;
    let uid = device.uid().unwrap();
    // A younger pod with all labels of the agent, its controller's name and uid, and a finalizer.
    let workload = namespace.api::<StatefulSet>().get("press-17-agent").await.unwrap();
    let genuine = namespace.api::<Pod>().get("press-17-agent-0").await.unwrap();
    let evil = Answerer::new();
    evil.connected("press-17", &uid, "evil.example");
    let mut pod = genuine.clone();
    pod.status = None;
    pod.metadata = ObjectMeta {
        name: Some("mallory".to_owned()),
        labels: genuine.metadata.labels.clone(),
        finalizers: Some(vec!["lanyard.test/stay".to_owned()]),
        ..ObjectMeta::default()
    };
    let pods: Api<Pod> = Api::namespaced(mallory, &namespace.name);
    pods.create(&PostParams::default(), &pod).await.unwrap();
    evil.plays(&namespace, "mallory").await;
    pods.delete("mallory", &DeleteParams::default()).await.unwrap();
    operator.until_quiet();
    assert_eq!(evil.asked.load(Ordering::Relaxed), 0, "a stranger's pod is asked nothing");
    assert!(is(&namespace.api::<IoTDevice>().get("press-17").await.unwrap(), "Ready", "True", "Connected"));

    // The agent's own pod that answers for another object is not believed either.
    agent.connected("press-17", "another", "hub.example");
    agent.plays(&namespace, "press-17-agent-0").await;
    // A pod that moves is asked at once.
    let moved = Answerer::new();
    moved.connected("press-17", "another", "hub.example");
    moved.plays(&namespace, "press-17-agent-0").await;
    let reported = namespace
        .wait("press-17", "the answer is ignored", |device: &IoTDevice| {
            is(device, "Ready", "False", "AnswerIgnored")
        })
        .await;
    let actual = condition(&reported.status.as_ref().unwrap().conditions, "Ready").unwrap().message.clone();
    assert!(actual.contains("uid another") && actual.contains(&uid), "{actual}");

    // The ending pod with the label holds no new agent up.
    let uid = workload.metadata.uid;
    namespace.api::<StatefulSet>().delete("press-17-agent", &DeleteParams::background()).await.unwrap();
    namespace
        .wait("press-17-agent", "there is a new one", |workload: &StatefulSet| workload.metadata.uid != uid)
        .await;
    let free = json!({"metadata": {"finalizers": null}});
    pods.patch("mallory", &PatchParams::default(), &Patch::Merge(free)).await.unwrap();
}

#[tokio::test]
async fn m1_approval_counts_for_one_group() {
    let namespace = Namespace::new("approval").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&format!("{}  approval: Manual\n", group())).await;
    let other = group().replace("{name: plant}", "{name: other}");
    namespace.apply(&format!("{other}  approval: Manual\n")).await;
    let mallory = devices(&tenant(&namespace, "mallory").await, &namespace);
    let waits = async |name: &str, words: &str| {
        let words = words.to_owned();
        namespace
            .wait(name, "it waits for approval", move |device: &IoTDevice| {
                let ready = device.status.as_ref().and_then(|status| condition(&status.conditions, "Ready"));
                is(device, "Ready", "False", "WaitingForApproval")
                    && ready.is_some_and(|ready| ready.message.contains(&words))
            })
            .await
    };
    // Credentials of her own making open no group.
    create(&mallory, "a", json!({"hub": {"hostname": "h.example", "auth": {"selfSigned": {}}}})).await;
    issued(&namespace, "a").await;
    patch(&mallory, "a", json!({"spec": {"hub": null, "groupRef": {"name": "plant"}}})).await.unwrap();
    waits("a", "approve the device").await;
    assert!(namespace.api::<Secret>().get_opt("a-credentials").await.unwrap().is_none());

    // A device that was approved for one group is not approved for the other.
    namespace.apply(&member("b", "  approved: true")).await;
    issued(&namespace, "b").await;
    patch(&mallory, "b", json!({"spec": {"groupRef": {"name": "other"}}})).await.unwrap();
    waits("b", "approval is for another group").await;
    namespace.change::<IoTDevice>("b", json!({"spec": {"approved": false}})).await;
    waits("b", "approve the device").await;
    namespace.change::<IoTDevice>("b", json!({"spec": {"approved": true}})).await;
    issued(&namespace, "b").await;
}

#[tokio::test]
async fn l3_created_object_loses_fields_no_longer_planned() {
    let namespace = Namespace::new("created").await;
    let _operator = Operator::start(&[&namespace]).await;
    let pem = Authority::root(usual("Plant")).pem;
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": pem}});
    namespace.apply(&map.to_string()).await;
    let ca = json!({"configMapKeyRef": {"name": "ca", "key": "ca.crt"}});
    let hub = json!({"hub": {"hostname": "h.example", "trustedCA": ca, "auth": {"selfSigned": {}}}});
    create(&namespace.api(), "a", hub).await;
    issued(&namespace, "a").await;
    let secret = namespace.api::<Secret>().get("a-credentials").await.unwrap();
    assert!(secret.data.unwrap().contains_key("ca.crt"));
    let operations: Vec<_> =
        secret.metadata.managed_fields.unwrap().into_iter().filter_map(|entry| entry.operation).collect();
    assert_eq!(operations, ["Update"], "it was created, and nothing was merged into");
    namespace.change::<IoTDevice>("a", json!({"spec": {"hub": {"trustedCA": null}}})).await;
    namespace
        .wait("a-credentials", "the CA is gone", |secret: &Secret| {
            secret
                .data
                .as_ref()
                .is_some_and(|data| !data.contains_key("ca.crt") && data.contains_key("tls.key"))
        })
        .await;
}
