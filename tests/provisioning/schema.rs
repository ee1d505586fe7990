//! What the schemas and rules refuse when an object is applied, and with which words; and what a new object looks like.

use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::Namespace;

use crate::yaml::{at_hub, group_without_secret, member};

const HUB: &str = "  hub: {hostname: h.example, auth: {symmetricKey: {secretRef: {name: s}}}}\n";
const TAG: &str = "{name: T, source: sim, address: K0001";

fn device(spec: &str) -> String {
    format!("apiVersion: lanyard.dev/v1alpha1\nkind: IoTDevice\nmetadata: {{name: refused}}\nspec:\n{spec}")
}

#[tokio::test]
async fn refusals_of_devices_say_what_to_do() {
    let namespace = Namespace::new("refusals").await;
    let sources = "  sources: [{name: sim, simulator: {}}]\n";
    let long = "a".repeat(129);
    let cases: Vec<(String, &str)> = vec![
        ("  blocked: false\n".into(), "set exactly one of groupRef"),
        (format!("{HUB}  groupRef: {{name: g}}\n"), "set exactly one of groupRef"),
        (format!("{HUB}  surprise: 1\n"), ".spec.surprise: field not declared in schema"),
        (format!("{HUB}  approved: true\n"), ".spec.approved: field not declared in schema"),
        (format!("{HUB}  blocked: perhaps\n"), "spec.blocked"),
        (format!("{HUB}  deviceId: a/b\n"), "a hub takes only ASCII letters"),
        (format!("{HUB}  deviceId: {long}\n"), "128"),
        ("  groupRef: {name: g}\n  deviceId: a+b\n".into(), "DPS registers no such deviceId"),
        ("  groupRef: {name: g}\n  deviceId: a.\n".into(), "DPS registers no such deviceId"),
        (format!("{HUB}  displayName: {}\n", "d".repeat(149)), "148"),
        (format!("{HUB}  modelId: contoso:Press\n"), "spec.modelId"),
        (format!("{HUB}  modelId: 'dtmi:contoso:Press'\n"), "spec.modelId"),
        ("  hub: {hostname: 'https://h', auth: {symmetricKey: {secretRef: {name: s}}}}\n".into(), "without a scheme"),
        ("  hub: {hostname: 'h:70000', auth: {symmetricKey: {secretRef: {name: s}}}}\n".into(), "a port is a number from 1 to 65535"),
        ("  hub: {hostname: h, auth: {}}\n".into(), "set the kind of authentication: symmetricKey"),
        ("  hub: {hostname: h}\n".into(), "spec.hub.auth"),
        (
            "  hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: s}}}, trustedCA: {}}\n".into(),
            "set exactly one of secretKeyRef and configMapKeyRef",
        ),
        (
            "  hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: s}}}, trustedCA: {secretKeyRef: {name: a, key: b}, configMapKeyRef: {name: a, key: b}}}\n".into(),
            "set exactly one of secretKeyRef and configMapKeyRef",
        ),
        (format!("{HUB}  credentials: {{secretName: Upper}}\n"), "spec.credentials.secretName"),
        (format!("{HUB}  sources: [{{name: sim}}]\n"), "set the kind of source: simulator"),
        (format!("{HUB}  sources: [{{name: sim, simulator: {{}}}}, {{name: sim, simulator: {{}}}}]\n"), "duplicate entries for key"),
        (format!("{HUB}  sources: [{{name: sim, opcua: {{}}}}]\n"), ".opcua: field not declared in schema"),
        (format!("{HUB}{sources}  tags: [{{name: T, source: plc, address: K0001}}]\n"), "a tag names a source that does not exist"),
        (format!("{HUB}  tags: [{TAG}}}]\n"), "tags need sources"),
        (format!("{HUB}{sources}  tags: [{TAG}}}, {TAG}}}]\n"), "duplicate entries for key"),
        (format!("{HUB}{sources}  tags: [{TAG}, scanInterval: 1ms}}]\n"), "use a length of time from 10ms to 99999990ms"),
        (format!("{HUB}{sources}  tags: [{TAG}, scanInterval: 28h}}]\n"), "use a length of time from 10ms to 99999990ms"),
        (format!("{HUB}{sources}  tags: [{TAG}, scanInterval: 1 day}}]\n"), "scanInterval"),
        (format!("{HUB}{sources}  tags: [{TAG}, scanInterval: 99999999h}}]\n"), "scanInterval"),
        (format!("{HUB}{sources}  tags: [{TAG}, publish: Sometimes}}]\n"), "supported values: \"OnChange\", \"EveryScan\""),
        (format!("{HUB}{sources}  tags: [{TAG}, access: ReadWrite}}]\n"), ".access: field not declared in schema"),
        (format!("{HUB}  telemetry: {{format: Wide, maxEvents: 5}}\n"), "maxEvents belongs to format Narrow"),
        (format!("{HUB}  telemetry: {{format: Template}}\n"), "supported values: \"Narrow\", \"Wide\""),
        (format!("{HUB}  telemetry: {{maxEvents: 0}}\n"), "spec.telemetry.maxEvents"),
        (format!("{HUB}  telemetry: {{qos: 2}}\n"), "spec.telemetry.qos"),
        (format!("{HUB}  telemetry: {{interval: 0s}}\n"), "use a length of time"),
        (format!("{HUB}  telemetry: {{properties: {{$.ct: x}}}}\n"), "does not start with '$'"),
        (format!("{HUB}  telemetry: {{properties: {{'': x}}}}\n"), "a property's name has 1 to 128 characters"),
        (
            format!("{HUB}  telemetry: {{properties: {{a: {0}, b: {0}, c: {0}, d: {0}, e: {0}}}}}\n", "x".repeat(1000)),
            "must not exceed 4096 characters together",
        ),
        (format!("{HUB}  agent: {{resources: {{limits: {{memory: much}}}}}}\n"), "spec.agent.resources.limits.memory"),
        (format!("{HUB}  agent: {{mode: Sidecar}}\n"), ".spec.agent.mode: field not declared in schema"),
    ];
    for (spec, expected) in cases {
        let said = namespace.refusal(&device(&spec)).await;
        assert!(said.contains(expected), "expected {expected:?} for\n{spec}but got: {said}");
    }
    let long = device(HUB).replace("refused", &"n".repeat(64));
    assert!(namespace.refusal(&long).await.contains("must not be longer than 63 characters"));
}

#[tokio::test]
async fn refusals_of_groups_say_what_to_do() {
    let namespace = Namespace::new("refusals").await;
    let cases = [
        ("idScope: 0ne00ABCDEF", "idScope: 0ne/1", "spec.dps.idScope"),
        ("endpoint: localhost", "endpoint: 'localhost:0'", "a port is a number from 1 to 65535"),
        ("{symmetricKey: {secretRef: {name: plant-key}}}", "{}", "set the kind of attestation: symmetricKey"),
        (
            "{secretRef: {name: plant-key}}",
            "{secretRef: {name: plant-key}, use: Both}",
            "supported values: \"Primary\", \"Secondary\"",
        ),
        ("source: sim", "source: plc", "a tag names a source that does not exist"),
        ("  template:", "  approval: Manual\n  template:", ".spec.approval: field not declared in schema"),
        (
            "  template:",
            "  template:\n    blocked: true",
            ".spec.template.blocked: field not declared in schema",
        ),
    ];
    for (from, to, expected) in cases {
        let yaml = group_without_secret();
        assert!(yaml.contains(from), "{from}");
        let said = namespace.refusal(&yaml.replace(from, to)).await;
        assert!(said.contains(expected), "expected {expected:?} for {to:?} but got: {said}");
    }
}

#[tokio::test]
async fn a_device_id_never_changes() {
    let namespace = Namespace::new("immutable").await;
    namespace.apply(&member("one", "")).await;
    namespace.apply(&member("two", "  deviceId: second")).await;
    for (name, spec) in [("one", "  deviceId: other"), ("two", "  deviceId: third"), ("two", "")] {
        let said = namespace.refusal(&member(name, spec)).await;
        assert!(said.contains("deviceId cannot be changed"), "{said}");
    }
    // What it is anyway may be said.
    namespace.apply(&member("one", "  deviceId: one")).await;
}

#[tokio::test]
async fn every_device_id_of_azure_is_taken() {
    let namespace = Namespace::new("ids").await;
    namespace.apply(&at_hub("odd", "h.example", r#"  deviceId: "a'b(c)!d*e@f$g#h%i+j,k=l?m:n._-""#)).await;
    namespace.apply(&member("odd-in-group", "  deviceId: 'sensor:line3_a.7'")).await;
}

/// kstatus, Argo CD and Flux compare observedGeneration with generation before anything else.
#[tokio::test]
async fn a_new_object_is_in_progress_from_its_first_second() {
    let namespace = Namespace::new("first-second").await;
    namespace.apply(&group_without_secret()).await;
    namespace.apply(&member("new", "")).await;
    let device = namespace.api::<IoTDevice>().get("new").await.unwrap();
    assert_eq!((device.status.unwrap().observed_generation, device.metadata.generation), (-1, Some(1)));
    let group = namespace.api::<ProvisioningGroup>().get("plant").await.unwrap();
    assert_eq!(group.status.unwrap().observed_generation, -1);
    assert_eq!(group.spec.dps.endpoint, "localhost");
}
