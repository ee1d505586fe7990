//! Lists of devices: one `IoTDevice` a row, and nothing else touched.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use lanyard_crds::status::ImportStatus;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::{Namespace, within};
use lanyard_tests::process::eventually;
use serde_json::json;

use crate::operator::{Operator, condition, group_is, is};
use crate::yaml::{group, member};

/// Returns the manifests of the group `plant` with a list. Its devices wait for approval, so that a thousand rows do
/// not become a thousand pods.
fn importing(policy: &str) -> String {
    format!(
        "{}  approval: Manual\n  import: {{configMapRef: {{name: fleet, key: devices.csv}}, onRemoval: {policy}}}\n",
        group()
    )
}

async fn list(namespace: &Namespace, text: &str) {
    let text = serde_json::to_string(text).unwrap();
    namespace
        .apply(&format!(
            "\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: fleet}}\ndata: {{devices.csv: {text}}}\n"
        ))
        .await;
}

/// Waits until the list is worked off with this result: rows, imported, failed.
async fn imported(namespace: &Namespace, counts: (u32, u32, u32)) -> ImportStatus {
    let group = namespace
        .wait("plant", &format!("{counts:?} rows, imported and failed"), |group: &ProvisioningGroup| {
            let shown = group.status.as_ref().and_then(|status| status.import.as_ref());
            let reason = if counts.2 == 0 { "Imported" } else { "RowsRejected" };
            shown.is_some_and(|shown| (shown.rows, shown.imported, shown.failed) == counts)
                && group_is(group, "Imported", if counts.2 == 0 { "True" } else { "False" }, reason)
        })
        .await;
    group.status.unwrap().import.unwrap()
}

async fn devices(namespace: &Namespace) -> BTreeMap<String, IoTDevice> {
    let all = namespace.api::<IoTDevice>().list(&ListParams::default()).await.unwrap();
    all.into_iter().map(|device| (device.name_any(), device)).collect()
}

fn fleet(rows: std::ops::Range<u32>) -> String {
    let mut text = "\u{feff}iotc_deviceid,IOTC_DeviceName\r\n".to_owned();
    for row in rows {
        let _ = write!(text, "press-{row},\"Press, {row}\"\r\n");
    }
    text
}

#[tokio::test]
async fn a_thousand_rows_are_created_changed_and_deleted() {
    let namespace = Namespace::new("import").await;
    let operator = Operator::start(&[&namespace]).await;
    list(&namespace, &fleet(0..1000)).await;
    namespace.apply(&importing("Keep")).await;
    // However slow the machine is, it goes on and says so.
    for step in 1..10 {
        namespace
            .wait("plant", "the status tells how far it is", |group: &ProvisioningGroup| {
                let shown = group.status.as_ref().and_then(|status| status.import.as_ref());
                shown.is_some_and(|shown| shown.rows == 1000 && shown.imported >= step * 100)
            })
            .await;
    }
    imported(&namespace, (1000, 1000, 0)).await;
    let found = devices(&namespace).await;
    assert_eq!(found.len(), 1000);
    let group = namespace.api::<ProvisioningGroup>().get("plant").await.unwrap();
    for (name, device) in &found {
        let owner = &device.owner_references()[0];
        assert_eq!((owner.controller, Some(&owner.uid)), (Some(true), group.metadata.uid.as_ref()));
        assert_eq!(device.device_id(), name);
        assert_eq!(device.spec.display_name, Some(name.replace("press-", "Press, ")));
    }
    let shown = namespace
        .wait("plant", "it counts them", |group: &ProvisioningGroup| {
            let devices = group.status.as_ref().and_then(|status| status.devices);
            devices.is_some_and(|devices| (devices.total, devices.waiting_for_approval) == (1000, 1000))
        })
        .await;
    assert!(group_is(&shown, "Ready", "True", "KeyUsable"));

    // What others set on a device stays, a changed row changes one device, and a device without its row is kept.
    namespace.change::<IoTDevice>("press-7", json!({"spec": {"modelId": "dtmi:contoso:Oven;1"}})).await;
    let before = devices(&namespace).await;
    let writes = operator.metric("lanyard_operator_api_writes_total", "kind=\"IoTDevice\",verb=\"apply\"");
    list(&namespace, &fleet(0..999).replace("Press, 7\"", "Oven\"")).await;
    namespace
        .wait("press-7", "its name changes", |device: &IoTDevice| {
            device.spec.display_name.as_deref() == Some("Oven")
        })
        .await;
    imported(&namespace, (999, 999, 0)).await;
    let after = devices(&namespace).await;
    assert_eq!(after["press-7"].spec.model_id.as_deref(), Some("dtmi:contoso:Oven;1"));
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, device)| device.metadata.generation != before[*name].metadata.generation)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!((after.len(), changed), (1000, vec!["press-7"]));
    let more = operator.metric("lanyard_operator_api_writes_total", "kind=\"IoTDevice\",verb=\"apply\"");
    assert_eq!(more - writes, 1.0, "only what changed is written");

    let delete = json!({"spec": {"import": {"onRemoval": "Delete"}}});
    namespace.change::<ProvisioningGroup>("plant", delete).await;
    namespace.wait_gone::<IoTDevice>("press-999").await;
    list(&namespace, &fleet(0..900)).await;
    imported(&namespace, (900, 900, 0)).await;
    namespace.wait_gone::<IoTDevice>("press-998").await;
    namespace.wait_gone::<IoTDevice>("press-900").await;
    // A deleted device is recreated, because its row exists.
    namespace.api::<IoTDevice>().delete("press-3", &Default::default()).await.unwrap();
    let uid = before["press-3"].uid();
    namespace.wait("press-3", "it is recreated", |device: &IoTDevice| device.uid() != uid).await;
    assert_eq!(devices(&namespace).await.len(), 900);
}

#[tokio::test]
async fn an_unchanged_list_costs_no_write() {
    let namespace = Namespace::new("import").await;
    let operator = Operator::start(&[&namespace]).await;
    list(&namespace, "IOTC_DEVICEID,IOTC_DEVICENAME\na,A\nB_,B\nb,\n").await;
    namespace.apply(&importing("Delete")).await;
    imported(&namespace, (3, 2, 1)).await;
    for name in ["a", "b"] {
        namespace
            .wait(name, "it waits", |device: &IoTDevice| is(device, "Ready", "False", "WaitingForApproval"))
            .await;
    }
    operator.until_quiet();
    drop(operator);
    let before = devices(&namespace).await;
    let group = namespace.api::<ProvisioningGroup>().get("plant").await.unwrap();
    let second = Operator::start(&[&namespace]).await;
    let looked = |times: f64| {
        eventually("the group was looked at", Duration::from_secs(30), || {
            let looks = second.metric("lanyard_operator_reconciles_total", "kind=\"ProvisioningGroup\"");
            (looks >= times).then_some(looks)
        })
    };
    let looks = looked(1.0);
    namespace.change::<ConfigMap>("fleet", json!({"metadata": {"annotations": {"a": "b"}}})).await;
    looked(looks + 1.0);
    assert_eq!(second.metric("lanyard_operator_api_writes_total", ""), 0.0, "{}", second.page("/metrics").1);
    let after = devices(&namespace).await;
    assert!(after.iter().all(|(name, device)| device.resource_version() == before[name].resource_version()));
    let again = namespace.api::<ProvisioningGroup>().get("plant").await.unwrap();
    assert_eq!(again.resource_version(), group.resource_version());
}

#[tokio::test]
async fn bad_rows_are_reported_and_good_rows_imported() {
    let namespace = Namespace::new("import").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&member("by-hand", "  displayName: Mine")).await;
    namespace.apply(&member("other", "  deviceId: By_Hand.2")).await;
    let mut text =
        "IOTC_DEVICEID,IOTC_DEVICENAME\nby-hand,Yours\nby_hand.2,x\ngood,\nGood,\nbad id,\nPress_18,Press\n"
            .to_owned();
    for _ in 0..30 {
        text.push_str("-_,\n");
    }
    list(&namespace, &text).await;
    namespace.apply(&importing("Delete")).await;
    let shown = imported(&namespace, (36, 2, 34)).await;
    let lines: Vec<_> = shown.mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [2, 3, 5, 6].into_iter().chain(8..24).collect::<Vec<_>>());
    assert!(
        shown.mistakes[0]
            .message
            .contains("IoTDevice by-hand has device id \"by-hand\" already; this list did not create it")
    );
    let group = namespace.api::<ProvisioningGroup>().get("plant").await.unwrap();
    assert!(
        group_is(&group, "Stalled", "True", "RowsRejected")
            && group_is(&group, "Ready", "False", "RowsRejected")
    );
    let found = devices(&namespace).await;
    assert_eq!(found["by-hand"].spec.display_name.as_deref(), Some("Mine"));
    assert!(found["by-hand"].owner_references().is_empty());
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    let hashed = names.iter().find(|name| name.starts_with("press-18-")).unwrap();
    assert_eq!(found[*hashed].device_id(), "Press_18");
    assert_eq!(names.len(), 4);

    // The device by hand makes room.
    namespace.api::<IoTDevice>().delete("by-hand", &Default::default()).await.unwrap();
    list(&namespace, "IOTC_DEVICEID,IOTC_DEVICENAME\nby-hand,Yours\n").await;
    imported(&namespace, (1, 1, 0)).await;
    namespace.wait_gone::<IoTDevice>("good").await;
    let found = devices(&namespace).await;
    assert_eq!(found["by-hand"].spec.display_name.as_deref(), Some("Yours"));
    assert!(found.contains_key("other"), "a device that was made by hand stays");
}

/// A list that cannot be read is not an empty one.
#[tokio::test]
async fn a_lost_list_deletes_nothing() {
    let namespace = Namespace::new("import").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&importing("Delete")).await;
    let shown = |reason: &'static str| {
        let namespace = &namespace;
        async move {
            let group: ProvisioningGroup = namespace
                .wait("plant", reason, |group| {
                    group_is(group, "Imported", "False", reason) && group_is(group, "Stalled", "True", reason)
                })
                .await;
            condition(&group.status.unwrap().conditions, "Imported").unwrap().message.clone()
        }
    };
    assert!(shown("ImportNotFound").await.contains("ConfigMap fleet, which is not in this namespace"));
    list(&namespace, "IOTC_DEVICEID\na\nb\n").await;
    imported(&namespace, (2, 2, 0)).await;

    list(&namespace, "").await;
    assert!(shown("ImportInvalid").await.contains("it is empty"));
    list(&namespace, "a\nb\n").await;
    namespace
        .wait("plant", "the column is missed", |group: &ProvisioningGroup| {
            let conditions = &group.status.as_ref().unwrap().conditions;
            condition(conditions, "Imported")
                .is_some_and(|shown| shown.message.contains("line 1 has no column IOTC_DEVICEID"))
        })
        .await;
    let other_key = json!({"data": {"devices.csv": null, "devices.txt": "x"}});
    namespace.change::<ConfigMap>("fleet", other_key).await;
    assert!(shown("ImportNotFound").await.contains("which has only devices.txt"));
    // As Excel writes "Unicode text".
    let utf16 = json!({"binaryData": {"devices.csv": "//5JAE8A"}});
    namespace.change::<ConfigMap>("fleet", utf16).await;
    assert!(shown("ImportInvalid").await.contains("is not UTF-8 text"));
    namespace.api::<ConfigMap>().delete("fleet", &Default::default()).await.unwrap();
    shown("ImportNotFound").await;
    assert_eq!(devices(&namespace).await.len(), 2);

    list(&namespace, "IOTC_DEVICEID\n").await;
    imported(&namespace, (0, 0, 0)).await;
    namespace.wait_gone::<IoTDevice>("a").await;
    namespace.wait_gone::<IoTDevice>("b").await;
}

/// Allows two devices. The quota controller looks for new kinds every 30 s, and counts the objects of a kind that a quota named
/// before only minutes later: the quota is made again until its kind is counted.
async fn quota(namespace: &Namespace) {
    const COUNT: &str = "count/iotdevices.lanyard.dev";
    let api = namespace.api::<ResourceQuota>();
    let counted = async {
        loop {
            namespace
                .apply(&format!(
                    "\napiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: few}}\nspec: {{hard: {{{COUNT}: '2'}}}}\n"
                ))
                .await;
            let answered = |quota: &ResourceQuota| {
                let hard = quota.status.as_ref().and_then(|status| status.hard.as_ref());
                hard.is_some_and(|hard| hard.contains_key(COUNT))
            };
            let quota = namespace.wait("few", "the quota controller has looked at it", answered).await;
            let used = quota.status.and_then(|status| status.used).unwrap_or_default();
            if used.contains_key(COUNT) {
                return;
            }
            api.delete("few", &DeleteParams::default()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    within("the quota controller counts IoTDevices", counted).await;
}

/// Rows that the API server refuses are reported with their line, and are not retried at every reconcile.
#[tokio::test]
async fn rows_over_a_quota_are_reported() {
    let namespace = Namespace::new("import").await;
    let operator = Operator::start(&[&namespace]).await;
    quota(&namespace).await;
    list(&namespace, "IOTC_DEVICEID\na\nb\nc\n").await;
    namespace.apply(&importing("Delete")).await;
    let shown = imported(&namespace, (3, 2, 1)).await;
    assert!(shown.mistakes[0].message.contains("exceeded quota: few"), "{}", shown.mistakes[0].message);
    let tried = || operator.metric("lanyard_operator_api_writes_total", "kind=\"IoTDevice\",verb=\"apply\"");
    operator.until_quiet();
    let (before, looks) =
        (tried(), operator.metric("lanyard_operator_reconciles_total", "ProvisioningGroup"));
    namespace.change::<ConfigMap>("fleet", json!({"metadata": {"annotations": {"a": "b"}}})).await;
    eventually("it was looked at again", Duration::from_secs(30), || {
        (operator.metric("lanyard_operator_reconciles_total", "ProvisioningGroup") > looks).then_some(())
    });
    assert_eq!(tried(), before);
    // A row less is a device more.
    let refused = shown.mistakes[0].line;
    let rows = ["a", "b", "c"].into_iter().zip(2..).filter(|(_, line)| *line != refused).map(|(row, _)| row);
    list(&namespace, &format!("IOTC_DEVICEID\n{}\n", rows.collect::<Vec<_>>().join("\n"))).await;
    imported(&namespace, (2, 2, 0)).await;
}
