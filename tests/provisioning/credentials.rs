//! Keys are derived, never stored twice: what is deleted comes back identical, and a changed group key reaches everybody.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::DeleteParams;
use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::kubernetes::{Namespace, secret_text};
use serde_json::json;

use crate::operator::{Operator, issued};
use crate::yaml::{K32, K64, at_hub, group, group_secret, member, secret};

#[tokio::test]
async fn a_deleted_secret_comes_back_identical() {
    let namespace = Namespace::new("deleted").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    issued(&namespace, "a").await;
    let before = namespace.api::<Secret>().get("a-credentials").await.unwrap();
    namespace.api::<Secret>().delete("a-credentials", &DeleteParams::default()).await.unwrap();
    let uid = before.uid();
    let after = namespace.wait("a-credentials", "it is back", |secret: &Secret| secret.uid() != uid).await;
    assert_eq!(after.data, before.data);
}

#[tokio::test]
async fn switching_the_groups_key_changes_every_secret() {
    let namespace = Namespace::new("switch").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        namespace.apply(&member(name, "")).await;
    }
    let expect = async |key: &str| {
        let key = SymmetricKey::from_base64(key).unwrap();
        for name in names {
            let expected = key.derive(name).to_base64();
            let secret = format!("{name}-credentials");
            namespace
                .wait(&secret, "it has the key in use", |secret: &Secret| {
                    secret_text(secret, "sharedAccessKey") == *expected
                })
                .await;
        }
    };
    for name in names {
        issued(&namespace, name).await;
    }
    expect(K64).await;
    let use_ = json!({"spec": {"attestation": {"symmetricKey": {"use": "Secondary"}}}});
    namespace.change::<lanyard_crds::ProvisioningGroup>("plant", use_).await;
    expect(K32).await;
    // And a new key in the Secret itself.
    let new = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
    namespace.apply(&group_secret(K64, new)).await;
    expect(new).await;
}

/// No agent has proven the new key here, so the one before stays beside it; and who returns to it needs no other.
#[tokio::test]
async fn previous_key_stays_until_the_new_one_is_proven() {
    let namespace = Namespace::new("previous").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group()).await;
    namespace.apply(&member("a", "")).await;
    issued(&namespace, "a").await;
    let keys =
        [K64, K32].map(|key| SymmetricKey::from_base64(key).unwrap().derive("a").to_base64().to_string());
    let before = namespace.api::<Secret>().get("a-credentials").await.unwrap();
    let use_ = |which: &str| json!({"spec": {"attestation": {"symmetricKey": {"use": which}}}});
    namespace.change::<lanyard_crds::ProvisioningGroup>("plant", use_("Secondary")).await;
    let secret = namespace
        .wait("a-credentials", "it has both", |secret: &Secret| {
            secret.data.as_ref().is_some_and(|data| data.contains_key("previousSharedAccessKey"))
        })
        .await;
    assert_eq!(secret_text(&secret, "sharedAccessKey"), keys[1]);
    assert_eq!(secret_text(&secret, "previousSharedAccessKey"), keys[0]);
    namespace.change::<lanyard_crds::ProvisioningGroup>("plant", use_("Primary")).await;
    namespace.wait("a-credentials", "it is as it was", |secret: &Secret| secret.data == before.data).await;
}

#[tokio::test]
async fn a_device_may_bring_its_own_key_or_its_connection_string() {
    let namespace = Namespace::new("own-key").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&secret("a-key", "primaryKey", K32)).await;
    namespace.apply(&at_hub("a", "hub.example:8884", "  credentials: {secretName: elsewhere}")).await;
    issued(&namespace, "a").await;
    let text = namespace.secret_text("elsewhere", "connectionString").await;
    assert_eq!(text, format!("HostName=hub.example:8884;DeviceId=a;SharedAccessKey={K32}"));
    assert_eq!(namespace.secret_text("elsewhere", "hostname").await, "hub.example:8884");
    // Another name for the Secret takes the former one away.
    namespace.apply(&at_hub("a", "hub.example:8884", "")).await;
    namespace.wait_gone::<Secret>("elsewhere").await;
    assert_eq!(namespace.secret_text("a-credentials", "sharedAccessKey").await, K32);
}
