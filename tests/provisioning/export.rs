//! The list of a group's devices with their credentials: always current, and never written without need.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::kubernetes::{Namespace, secret_text};
use serde_json::json;

use crate::authority::{Authority, usual};
use crate::operator::{Operator, condition, group_is, is, issued};
use crate::yaml::{K32, K64, group, group_secret, group_without_secret, member};

const HEADER: &str = "IOTC_DEVICEID,IOTC_DEVICENAME,IOTC_SASKEY_PRIMARY,IOTC_SASKEY_SECONDARY,IOTC_X509THUMBPRINT_PRIMARY,IOTC_X509THUMBPRINT_SECONDARY\r\n";

/// Returns the manifest of the group `plant`, which exports the list of its devices; they run elsewhere.
fn exporting(name: &str) -> String {
    format!("{}    agent: {{mode: None}}\n  export: {{secretName: {name}}}\n", group_without_secret())
}

/// Returns the expected row of a device, whose keys are derived from the group's keys.
fn row(id: &str, name: &str, primary: &str, secondary: &str) -> String {
    let key = |group: &str| SymmetricKey::from_base64(group).unwrap().derive(id).to_base64().to_string();
    format!("{id},{name},{},{},,\r\n", key(primary), key(secondary))
}

async fn listed(namespace: &Namespace, name: &str, rows: &[String]) -> Secret {
    let text = format!("{HEADER}{}", rows.concat());
    let secret = namespace
        .wait(name, "it lists the devices", |secret: &Secret| {
            secret.data.as_ref().is_some_and(|data| data.contains_key("devices.csv"))
                && secret_text(secret, "devices.csv") == text
        })
        .await;
    let count = u32::try_from(rows.len()).unwrap();
    namespace
        .wait("plant", "its status says so", |group: &ProvisioningGroup| {
            let reported = group.status.as_ref().and_then(|status| status.export.as_ref());
            reported
                .is_some_and(|reported| (reported.secret_name.as_str(), reported.devices) == (name, count))
                && group_is(group, "Exported", "True", "Exported")
        })
        .await;
    secret
}

#[tokio::test]
async fn the_list_follows_devices_and_keys() {
    let namespace = Namespace::new("export").await;
    let operator = Operator::start(&[&namespace]).await;
    namespace.apply(&format!("{}\n---\n{}", group_secret(K64, K32), exporting("flash"))).await;
    listed(&namespace, "flash", &[]).await;
    namespace.apply(&member("b", "  displayName: '=1+1'")).await;
    namespace.apply(&member("a", "  deviceId: A_1-x\n  displayName: Press")).await;
    let (a, b) = (row("A_1-x", "Press", K64, K32), row("b", "'=1+1", K64, K32));
    let secret = listed(&namespace, "flash", &[a.clone(), b.clone()]).await;
    let group = namespace.api::<ProvisioningGroup>().get("plant").await.unwrap();
    assert_eq!(secret.owner_references()[0].uid, group.uid().unwrap());
    assert_eq!(namespace.secret_text("b-credentials", "sharedAccessKey").await, b.split(',').nth(2).unwrap());

    // What changes nothing in it is no write.
    namespace.change::<IoTDevice>("a", json!({"spec": {"modelId": "dtmi:contoso:Press;1"}})).await;
    namespace.change::<IoTDevice>("b", json!({"spec": {"blocked": true}})).await;
    listed(&namespace, "flash", std::slice::from_ref(&a)).await;
    namespace.change::<IoTDevice>("b", json!({"spec": {"blocked": false}})).await;
    let again = listed(&namespace, "flash", &[a.clone(), b.clone()]).await;
    assert_eq!(secret.data, again.data, "the same devices give the same bytes");

    // A new name, a new key and a device that goes.
    namespace.change::<IoTDevice>("a", json!({"spec": {"displayName": "Oven, big"}})).await;
    listed(&namespace, "flash", &[row("A_1-x", "\"Oven, big\"", K64, K32), b]).await;
    namespace.apply(&group_secret(K32, K64)).await;
    let b = row("b", "'=1+1", K32, K64);
    listed(&namespace, "flash", &[row("A_1-x", "\"Oven, big\"", K32, K64), b.clone()]).await;
    namespace.api::<IoTDevice>().delete("a", &Default::default()).await.unwrap();
    let secret = listed(&namespace, "flash", std::slice::from_ref(&b)).await;

    // Changes of other programs are repaired, and a deleted list is restored.
    namespace.change::<Secret>("flash", json!({"data": {"devices.csv": "eA=="}})).await;
    listed(&namespace, "flash", std::slice::from_ref(&b)).await;
    namespace.api::<Secret>().delete("flash", &Default::default()).await.unwrap();
    let again = listed(&namespace, "flash", std::slice::from_ref(&b)).await;
    assert_ne!(secret.uid(), again.uid());

    // An operator that remembers nothing writes nothing.
    operator.until_quiet();
    drop(operator);
    let second = Operator::start(&[&namespace]).await;
    lanyard_tests::process::eventually(
        "everything was looked at",
        std::time::Duration::from_secs(30),
        || {
            let looks = |kind: &str| second.metric("lanyard_operator_reconciles_total", kind);
            (looks("kind=\"ProvisioningGroup\"") >= 1.0 && looks("kind=\"IoTDevice\"") >= 1.0).then_some(())
        },
    );
    assert_eq!(second.metric("lanyard_operator_api_writes_total", ""), 0.0, "{}", second.page("/metrics").1);
    let last = namespace.api::<Secret>().get("flash").await.unwrap();
    assert_eq!(last.resource_version(), again.resource_version());

    // Another name, and none.
    namespace
        .change::<ProvisioningGroup>("plant", json!({"spec": {"export": {"secretName": "other"}}}))
        .await;
    listed(&namespace, "other", std::slice::from_ref(&b)).await;
    namespace.wait_gone::<Secret>("flash").await;
    namespace.change::<ProvisioningGroup>("plant", json!({"spec": {"export": null}})).await;
    namespace.wait_gone::<Secret>("other").await;
    let log = second.process.log();
    assert!(!log.contains(b.split(',').nth(2).unwrap()), "no key is in the log");
}

#[tokio::test]
async fn secret_of_another_program_is_not_changed() {
    let namespace = Namespace::new("export").await;
    let _operator = Operator::start(&[&namespace]).await;
    // Of all Secrets the one with the group's key.
    namespace.apply(&format!("{}\n---\n{}", group_secret(K64, K32), exporting("plant-key"))).await;
    namespace.apply(&member("a", "")).await;
    let group = namespace
        .wait("plant", "the Secret is another's", |group: &ProvisioningGroup| {
            group_is(group, "Exported", "False", "Conflict") && group_is(group, "Stalled", "True", "Conflict")
        })
        .await;
    let message = condition(&group.status.unwrap().conditions, "Exported").unwrap().message.clone();
    assert!(
        message.contains("Secret plant-key belongs to another program")
            && message.contains("export.secretName"),
        "{message}"
    );
    // The devices have what they need all the same.
    issued(&namespace, "a").await;
    let key = namespace.api::<Secret>().get("plant-key").await.unwrap();
    assert!(key.owner_references().is_empty() && !key.data.unwrap().contains_key("devices.csv"));

    namespace
        .change::<ProvisioningGroup>("plant", json!({"spec": {"export": {"secretName": "flash"}}}))
        .await;
    listed(&namespace, "flash", &[row("a", "", K64, K32)]).await;
}

#[tokio::test]
async fn devices_that_wait_for_approval_are_not_listed() {
    let namespace = Namespace::new("export").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&format!("{}  export: {{secretName: flash}}\n  approval: Manual\n", group())).await;
    namespace.apply(&member("a", "  agent: {mode: None}")).await;
    namespace
        .wait("a", "it waits", |device: &IoTDevice| is(device, "Ready", "False", "WaitingForApproval"))
        .await;
    listed(&namespace, "flash", &[]).await;
    namespace.change::<IoTDevice>("a", json!({"spec": {"approved": true}})).await;
    listed(&namespace, "flash", &[row("a", "", K64, K32)]).await;
}

/// `crds/examples/lists`, and the commands in it.
#[tokio::test]
async fn bulk_example_creates_a_list_of_devices() {
    let namespace = Namespace::new("factory").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(include_str!("../../crds/examples/lists/factory.yaml")).await;
    let group = namespace
        .wait("factory", "its devices wait", |group: &ProvisioningGroup| {
            let waiting = group.status.as_ref().and_then(|status| status.devices);
            waiting.is_some_and(|devices| devices.waiting_for_approval == 3)
        })
        .await;
    assert!(group_is(&group, "Ready", "True", ""), "a waiting device is not a fault of the group");
    namespace.change::<IoTDevice>("sensor-002", json!({"spec": {"approved": true}})).await;
    namespace
        .wait("sensor-002", "it is ready", |device: &IoTDevice| is(device, "Ready", "True", "Issued"))
        .await;
    namespace
        .wait("factory-devices", "it is in the list", |secret: &Secret| {
            let text = secret_text(secret, "devices.csv");
            text.lines().count() == 2 && text.contains("\r\nsensor-002,\"Line 3, oven\",")
        })
        .await;
}

#[tokio::test]
async fn certificates_are_listed_by_their_thumbprints() {
    let namespace = Namespace::new("export").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&Authority::root(usual("Plant")).secret("ca", &[])).await;
    let yaml = "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {name: plant}
spec:
  dps: {idScope: 0ne00ABCDEF, endpoint: localhost}
  attestation: {x509: {issuer: {secretRef: {name: ca}}}}
  export: {secretName: flash}
  template: {modelId: 'dtmi:contoso:Press;1', agent: {mode: None}}
";
    namespace.apply(yaml).await;
    namespace.apply(&member("a", "")).await;
    let device = issued(&namespace, "a").await;
    let primary = device.status.unwrap().credentials.unwrap().primary.unwrap();
    listed(&namespace, "flash", &[format!("a,,,,{},\r\n", primary.sha256_thumbprint)]).await;
}
