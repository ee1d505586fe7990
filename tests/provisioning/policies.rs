//! The admission policies of the chart, played against by people with the rights that the product gives them. Writes the cluster.

use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::installation::{command, kubectl, repository, try_kubectl};
use lanyard_tests::kubernetes::{Namespace, within};
use lanyard_tests::scratch::Scratch;
use serde_json::{Value, json};

use crate::operator::{ACCOUNT, Operator, condition, is, issued};
use crate::users::{UserNamespace, api_message, as_user, engineer, object, refused, role, rule};
use crate::yaml::{K32, at_hub, group, member, secret};

/// Change that gives an agent's pod more than it needs.
type Spoil = fn(&mut Value);

/// The chart's policies for one namespace; they go with the test.
struct Policies {
    file: Scratch,
}

impl Policies {
    /// Installs them as the chart does for an operator in `home` that works in `plant`, and waits until they are in force.
    fn install<'a>(home: &'a Namespace, plant: &'a Namespace, values: &'a [&'a str]) -> BoxFuture<'a, Self> {
        Box::pin(Self::render_and_apply(home, plant, values))
    }

    async fn render_and_apply(home: &Namespace, plant: &Namespace, values: &[&str]) -> Self {
        let helm = repository().join("target/kubernetes/bin/helm").display().to_string();
        let mut template = command(&helm);
        template.args([
            "template",
            &format!("lanyard-{}", plant.name),
            "charts/lanyard",
            "--namespace",
            &home.name,
        ]);
        let account = format!("serviceAccount.name={ACCOUNT}");
        let image = "agent.image.repository=localhost/none,agent.image.tag=0".to_owned();
        for value in [account, image, format!("operator.watchNamespaces={{{}}}", plant.name)] {
            template.args(["--set-string", &value]);
        }
        values.iter().for_each(|value| {
            template.args(["--set", value]);
        });
        for policy in ["references", "approval", "placement", "operator-writes"] {
            template.args(["--show-only", &format!("templates/policies/{policy}.yaml")]);
        }
        let output = template.output().expect("helm can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let file = Scratch::new("policies");
        let path = file.write("policies.yaml", &String::from_utf8_lossy(&output.stdout));
        kubectl(&["apply", "-f", &path.display().to_string()]);
        let policies = Self { file };
        // A policy is in force a moment after it is made.
        let plain_user = as_user("user-without-rights");
        role(plant, "probe", &plain_user, json!([rule("lanyard.dev", "iotdevices", &["create"], &[])])).await;
        let probe: IoTDevice = serde_json::from_value(object(
            "IoTDevice",
            "probe",
            &json!({"approved": true, "credentials": {"secretName": "x"}, "agent": {"priorityClassName": "x"}, "groupRef": {"name": "x"}}),
        ))
        .unwrap();
        let probe = &probe;
        within(
            "the policies are in force",
            Box::pin(async {
                let dry = PostParams { dry_run: true, ..PostParams::default() };
                for words in ["may not approve", "may not create secrets/x", "priorityClassName"] {
                    loop {
                        let mut one = probe.clone();
                        one.spec.approved = words == "may not approve";
                        one.spec.credentials = one.spec.credentials.filter(|_| words.contains("secrets/x"));
                        one.spec.agent = one.spec.agent.filter(|_| words == "priorityClassName");
                        match plain_user.sees(plant).await.create(&dry, &one).await {
                            Err(kube::Error::Api(status)) if status.message.contains(words) => break,
                            _ => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
                        }
                    }
                }
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }),
        )
        .await;
        policies
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        let path = self.file.path().join("policies.yaml").display().to_string();
        let _ = try_kubectl(&["delete", "--ignore-not-found", "--wait=false", "-f", &path]);
    }
}

fn with_key(secret: &str) -> Value {
    json!({"hub": {"hostname": "hub.example", "auth": {"symmetricKey": {"secretRef": {"name": secret}}}}})
}

/// H2, L2: whoever names a Secret must be allowed to read it, and the words say how that is granted.
#[tokio::test]
async fn h2_naming_a_secret_requires_the_right_to_read_it() {
    let (home, plant) = (Namespace::new("home").await, Namespace::new("references").await);
    let _policies = Policies::install(&home, &plant, &[]).await;
    plant.apply(&secret("key", "primaryKey", K32)).await;
    let (user, engineer) = engineer(&plant).await;

    let grant = format!(
        "kubectl -n {} create role read-key --verb=get --resource=secrets --resource-name=key",
        plant.name
    );
    refused(
        &engineer.create_device("a", with_key("key")).await,
        &["engineer may not get secrets/key", &grant],
    );
    let kept = json!({"dps": {"idScope": "0ne1", "auth": {"certificate": {"secretRef": {"name": "key"}}}}});
    refused(&engineer.create_device("a", kept).await, &["secrets/key"]);
    let ca = json!({"hub": {"hostname": "h.example", "trustedCA": {"secretKeyRef": {"name": "key", "key": "k"}},
        "auth": {"selfSigned": {}}}});
    refused(&engineer.create_device("a", ca).await, &["secrets/key"]);
    let claim = json!({"groupRef": {"name": "plant"}, "buffer": {"storage": {"existingClaim": {"name": "database"}}}});
    refused(&engineer.create_device("a", claim).await, &["persistentvolumeclaims/database"]);
    let named = |name: &str| json!({"groupRef": {"name": "plant"}, "credentials": {"secretName": name}});
    refused(
        &engineer.create_device("a", named("ingress-tls")).await,
        &["may not create secrets/ingress-tls", "a-"],
    );
    engineer.create_device("named", named("named-hub")).await.unwrap();
    engineer.create_device("member", json!({"groupRef": {"name": "plant"}})).await.unwrap();

    // An administrator, as Argo CD is one, names what it likes.
    plant.apply(&at_hub("b", "hub.example", "").replace("b-key", "key")).await;
    plant.apply(&group()).await;
    // Other edits of existing fields pass; another way for the key does not.
    engineer.patch_device("b", json!({"displayName": "B"})).await.unwrap();
    refused(
        &engineer.patch_device("b", json!({"hub": {"gatewayHostname": "evil.example"}})).await,
        &["secrets/key", "changes where its key goes"],
    );
    engineer.patch_group("plant", json!({"template": {"modelId": "dtmi:contoso:Press;1"}})).await.unwrap();
    engineer
        .patch_group("plant", json!({"attestation": {"symmetricKey": {"use": "Secondary"}}}))
        .await
        .unwrap();
    refused(
        &engineer.patch_group("plant", json!({"dps": {"endpoint": "evil.example"}})).await,
        &["secrets/plant-key"],
    );
    refused(
        &engineer
            .patch_group("plant", json!({"import": {"configMapRef": {"name": "list", "key": "k"}}}))
            .await,
        &["configmaps/list"],
    );
    refused(
        &engineer.patch_group("plant", json!({"export": {"secretName": "tls"}})).await,
        &["export.secretName"],
    );
    engineer.patch_group("plant", json!({"export": {"secretName": "plant-export"}})).await.unwrap();
    let x509 = json!({"attestation": {"symmetricKey": null, "x509": {"issuer": {"secretRef": {"name": "cluster-ca"}}}}});
    refused(&engineer.patch_group("plant", x509).await, &["secrets/cluster-ca"]);

    // What the words say helps, for this one Secret.
    role(&plant, "read-key", &user, json!([rule("", "secrets", &["get"], &["key"])])).await;
    engineer.create_device("a", with_key("key")).await.unwrap();
    engineer.patch_device("b", json!({"hub": {"gatewayHostname": "edge.example"}})).await.unwrap();
    refused(&engineer.create_device("c", with_key("plant-key")).await, &["secrets/plant-key"]);
}

/// M1: an approval is a right of its own, and one for the group that the device is in.
#[tokio::test]
async fn m1_approving_requires_the_verb_approve() {
    let (home, plant) = (Namespace::new("home").await, Namespace::new("approve").await);
    let _policies = Policies::install(&home, &plant, &[]).await;
    let (_, engineer) = engineer(&plant).await;
    let member = json!({"groupRef": {"name": "plant"}});
    let words = ["engineer may not approve IoTDevice a", "verb approve"];
    let approved = json!({"groupRef": {"name": "plant"}, "approved": true});
    refused(&engineer.create_device("a", approved).await, &words);
    engineer.create_device("a", member).await.unwrap();
    refused(&engineer.patch_device("a", json!({"approved": true})).await, &words);

    let approver = as_user("approver");
    let rules = [rule("lanyard.dev", "iotdevices", &["get", "patch", "approve"], &[])];
    role(&plant, "approver", &approver, json!(rules)).await;
    let approver = approver.at(&plant).await;
    approver.patch_device("a", json!({"approved": true})).await.unwrap();
    engineer.patch_device("a", json!({"displayName": "A"})).await.unwrap();
    refused(&engineer.patch_device("a", json!({"groupRef": {"name": "other"}})).await, &words);
    engineer.patch_device("a", json!({"approved": false})).await.unwrap();
}

/// M8: priority classes and tolerations are the administrator's.
#[tokio::test]
async fn m8_placement_stays_within_what_the_values_allow() {
    let (home, plant) = (Namespace::new("home").await, Namespace::new("placement").await);
    let values = ["policies.placement.priorityClasses={edge}", "policies.placement.tolerations={edge}"];
    let _policies = Policies::install(&home, &plant, &values).await;
    let (_, engineer) = engineer(&plant).await;
    let with = |agent: Value| json!({"groupRef": {"name": "plant"}, "agent": agent});
    let critical = json!({"priorityClassName": "system-cluster-critical"});
    refused(
        &engineer.create_device("a", with(critical.clone())).await,
        &["policies.placement.priorityClasses"],
    );
    for toleration in [
        json!({"operator": "Exists"}),
        json!({"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}),
    ] {
        let agent = json!({"tolerations": [{"key": "edge", "operator": "Exists"}, toleration]});
        refused(&engineer.create_device("a", with(agent)).await, &["policies.placement.tolerations"]);
    }
    let allowed =
        json!({"priorityClassName": "edge", "tolerations": [{"key": "edge", "operator": "Exists"}]});
    engineer.create_device("a", with(allowed)).await.unwrap();
    plant.apply(&group()).await;
    let template = json!({"template": {"agent": critical}});
    refused(&engineer.patch_group("plant", template.clone()).await, &["verb place on provisioninggroups"]);
    // An administrator may, and the field then stays.
    plant.change::<ProvisioningGroup>("plant", json!({"spec": template})).await;
    engineer.patch_group("plant", json!({"approval": "Manual"})).await.unwrap();
}

/// H4: the operator's token opens no more than the operator needs.
#[tokio::test]
async fn h4_the_operators_account_writes_only_what_the_operator_makes() {
    let (home, plant) = (Namespace::new("home").await, Namespace::new("writes").await);
    // The account with its rights, before there is a policy that could refuse them.
    let operator = Operator::start(&[&home, &plant]).await;
    let _policies = Policies::install(&home, &plant, &[]).await;
    plant.apply(&secret("theirs", "key", "value")).await;
    let thief = as_user(&format!("system:serviceaccount:{}:{ACCOUNT}", home.name)).at(&plant).await;
    let made = PostParams::default();
    let labelled = |name: &str| -> Secret {
        let labels = json!({"app.kubernetes.io/managed-by": "lanyard-operator"});
        serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
    };
    let plain = Secret {
        metadata: ObjectMeta { name: Some("x".to_owned()), ..Default::default() },
        ..Default::default()
    };
    refused(
        &api_message(thief.api::<Secret>().create(&made, &plain).await),
        &["writes only objects with the label"],
    );
    let seize = Patch::Merge(
        json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "lanyard-operator"}}, "data": {}}),
    );
    let words = ["changes and deletes only what it has made"];
    refused(
        &api_message(thief.api::<Secret>().patch("theirs", &PatchParams::default(), &seize).await),
        &words,
    );
    refused(
        &api_message(thief.api::<Secret>().delete("theirs", &DeleteParams::default()).await.map(|_| ())),
        &words,
    );
    let at_home = UserNamespace { client: thief.client.clone(), namespace: home.name.clone() };
    let word = format!("writes nothing in namespace {}", home.name);
    refused(&api_message(at_home.api::<Secret>().create(&made, &labelled("x")).await), &[&word]);

    // With every policy in force the operator does all that it does.
    plant
        .apply(&(group() + "---" + &member("a", "  buffer: {storage: {claim: {storageClassName: nobodys}}}")))
        .await;
    issued(&plant, "a").await;
    let workload = plant.wait("a-agent", "it is made", |_: &StatefulSet| true).await;
    let relabel = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    plant.change::<Secret>("a-credentials", relabel).await;
    plant
        .wait("a-credentials", "its label is back", |secret: &Secret| {
            secret.metadata.labels.iter().flatten().any(|(name, _)| name == "app.kubernetes.io/managed-by")
        })
        .await;
    plant
        .change::<ProvisioningGroup>("plant", json!({"spec": {"export": {"secretName": "plant-export"}}}))
        .await;
    plant.wait("plant-export", "the list is written", |_: &Secret| true).await;
    let list = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: list}\ndata: {d: \"IOTC_DEVICEID,IOTC_DEVICENAME\\nb,B\\n\"}\n";
    plant.apply(list).await;
    let import = json!({"spec": {"import": {"configMapRef": {"name": "list", "key": "d"}}}});
    plant.change::<ProvisioningGroup>("plant", import).await;
    issued(&plant, "b").await;
    plant.change::<IoTDevice>("a", json!({"spec": {"blocked": true}})).await;
    plant.wait_gone::<StatefulSet>("a-agent").await;
    plant.wait_gone::<Secret>("a-credentials").await;
    assert_eq!(operator.metric("lanyard_operator_reconcile_errors_total", "Refused"), 0.0);

    // An agent with more than an agent's rights.
    let spoils: [(Spoil, &str); 5] = [
        (|pod| pod["serviceAccountName"] = json!("admin"), "no token"),
        (|pod| pod["hostNetwork"] = json!(true), "nothing of its node"),
        (
            |pod| pod["volumes"][0] = json!({"name": "config", "hostPath": {"path": "/"}}),
            "nothing of its node",
        ),
        (|pod| pod["containers"][0]["securityContext"] = json!({"privileged": true}), "restricted"),
        (|pod| pod["containers"][0]["image"] = json!("evil.example/none:0"), "localhost/none"),
    ];
    for (spoil, words) in spoils {
        let mut spoilt = serde_json::to_value(&workload).unwrap();
        spoilt["metadata"] = json!({"name": "spoilt", "labels": workload.metadata.labels});
        spoil(&mut spoilt["spec"]["template"]["spec"]);
        let spoilt: StatefulSet = serde_json::from_value(spoilt).unwrap();
        refused(&api_message(thief.api::<StatefulSet>().create(&made, &spoilt).await), &[words]);
    }

    // A device in the operator's own namespace is reported why it gets nothing.
    home.apply(&(group() + "---" + &member("h", ""))).await;
    let device =
        home.wait("h", "it is refused", |device: &IoTDevice| is(device, "Ready", "False", "Refused")).await;
    let message = condition(&device.status.unwrap().conditions, "Ready").unwrap().message.clone();
    assert!(message.contains(&word) && message.contains("operator.watchNamespaces"), "{message}");
    assert!(home.api::<ConfigMap>().get_opt("h-agent").await.unwrap().is_none());
}

/// Without the claim that one field is another, the API server finds no mistake in any expression.
#[tokio::test]
async fn policies_have_no_mistakes_that_the_api_server_knows() {
    let (home, plant) = (Namespace::new("home").await, Namespace::new("types").await);
    let _policies = Policies::install(&home, &plant, &[]).await;
    within(
        "every policy is type checked",
        Box::pin(async {
            loop {
                let shown = kubectl(&["get", "validatingadmissionpolicies", "-o", "json"]);
                let all: Value = serde_json::from_str(&shown).unwrap();
                let ours: Vec<&Value> = all["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|policy| policy["metadata"]["name"].as_str().unwrap().ends_with(&home.name))
                    .collect();
                assert_eq!(ours.len(), 7);
                if ours.iter().all(|policy| policy["status"]["typeChecking"].is_object()) {
                    for policy in ours {
                        let warnings = &policy["status"]["typeChecking"]["expressionWarnings"];
                        assert!(warnings.is_null(), "{}: {warnings:#}", policy["metadata"]["name"]);
                    }
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            }
        }),
    )
    .await;
}
