//! Refusals of schemas and rules when an object is applied, with their messages; and the state of a new object.

use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_tests::kubernetes::Namespace;

use crate::operator::{Operator, condition, is, issued};
use crate::yaml::{K32, K64, at_hub, group_secret, group_without_secret, member};

const HUB: &str = "  hub: {hostname: h.example, auth: {symmetricKey: {secretRef: {name: s}}}}\n";
const TAG: &str = "{name: T, source: sim, address: K0001";

fn device(spec: &str) -> String {
    format!("apiVersion: lanyard.dev/v1alpha1\nkind: IoTDevice\nmetadata: {{name: refused}}\nspec:\n{spec}")
}

#[tokio::test]
async fn refusals_of_devices_name_the_fix() {
    let namespace = Namespace::new("refusals").await;
    let sources = "  sources: [{name: sim, simulator: {}}]\n";
    let long = "a".repeat(129);
    let cases: Vec<(String, &str)> = vec![
        ("  blocked: false\n".into(), "set exactly one of groupRef"),
        (format!("{HUB}  groupRef: {{name: g}}\n"), "set exactly one of groupRef"),
        (format!("{HUB}  surprise: 1\n"), ".spec.surprise: field not declared in schema"),
        (format!("{HUB}  approved: perhaps\n"), "spec.approved"),
        (format!("{HUB}  blocked: perhaps\n"), "spec.blocked"),
        (format!("{HUB}  deviceId: a/b\n"), "a hub accepts only ASCII letters"),
        (format!("{HUB}  deviceId: {long}\n"), "128"),
        ("  groupRef: {name: g}\n  deviceId: a+b\n".into(), "DPS does not accept this deviceId"),
        ("  groupRef: {name: g}\n  deviceId: a.\n".into(), "DPS does not accept this deviceId"),
        (format!("{HUB}  displayName: {}\n", "d".repeat(149)), "148"),
        (format!("{HUB}  modelId: contoso:Press\n"), "spec.modelId"),
        (format!("{HUB}  modelId: 'dtmi:contoso:Press'\n"), "spec.modelId"),
        ("  hub: {hostname: 'https://h', auth: {symmetricKey: {secretRef: {name: s}}}}\n".into(), "without a scheme"),
        ("  hub: {hostname: 'h:70000', auth: {symmetricKey: {secretRef: {name: s}}}}\n".into(), "a port is a number from 1 to 65535"),
        ("  hub: {hostname: h, auth: {}}\n".into(), "set exactly one of symmetricKey"),
        ("  hub: {hostname: h}\n".into(), "spec.hub.auth"),
        (
            "  hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: s}}}, trustedCA: {}}\n".into(),
            "set exactly one of secretKeyRef and configMapKeyRef",
        ),
        (
            "  hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: s}}}, trustedCA: {secretKeyRef: {name: a, \
                key: b}, configMapKeyRef: {name: a, key: b}}}\n".into(),
            "set exactly one of secretKeyRef and configMapKeyRef",
        ),
        (format!("{HUB}  credentials: {{secretName: Upper}}\n"), "not a valid name of a Kubernetes object"),
        ("  groupRef: {name: Plant_A}\n".into(), "this is not a valid name of a Kubernetes object"),
        ("  groupRef: {name: ''}\n".into(), "this is not a valid name of a Kubernetes object"),
        (
            "  hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: 'A B'}}}}\n".into(),
            "this is not a valid name of a Kubernetes object",
        ),
        (
            "  hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: s}}}, trustedCA: {secretKeyRef: {name: -a, key: b}}}\n".into(),
            "this is not a valid name of a Kubernetes object",
        ),
        (
            "  hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: s}}}, trustedCA: {configMapKeyRef: {name: \
                a, key: 'ca crt'}}}\n".into(),
            "this is not a valid key of a Secret or ConfigMap",
        ),
        (format!("{HUB}  agent: {{priorityClassName: High}}\n"), "not a valid name of a Kubernetes object"),
        (format!("{HUB}  agent: {{labels: {{app.kubernetes.io/name: other}}}}\n"), "are set by the operator and by Kubernetes"),
        (format!("{HUB}  agent: {{labels: {{lanyard.dev/device: other}}}}\n"), "are set by the operator and by Kubernetes"),
        (format!("{HUB}  agent: {{labels: {{a: 'b c'}}}}\n"), "this is not a valid name or value of a label"),
        (format!("{HUB}  agent: {{annotations: {{prometheus.io/port: '1'}}}}\n"), "are set by the operator"),
        (format!("{HUB}  agent: {{annotations: {{'a b': '1'}}}}\n"), "this is not a valid name of an annotation"),
        (format!("{HUB}  agent: {{env: [{{name: LANYARD_TOKEN_TTL, value: 1s}}]}}\n"), "would change the agent's settings"),
        (format!("{HUB}  agent: {{env: [{{name: SSL_CERT_FILE, value: /x}}]}}\n"), "would change the agent's settings"),
        (format!("{HUB}  agent: {{env: [{{name: LD_PRELOAD, value: /x}}]}}\n"), "would change the agent's settings"),
        (format!("{HUB}  agent: {{env: [{{name: 'A B', value: x}}]}}\n"), "spec.agent.env[0].name"),
        (format!("{HUB}  agent: {{hostAliases: [{{ip: edge, hostnames: [a]}}]}}\n"), "use an IP address"),
        (format!("{HUB}  agent: {{logLevel: LOUD}}\n"), "spec.agent.logLevel"),
        (format!("{HUB}  agent: {{imagePullSecrets: [{{name: A}}]}}\n"), "not a valid name of a Kubernetes object"),
        (format!("{HUB}  sources: [{{name: \"a\\tb\", simulator: {{}}}}]\n"), "a name must not contain control characters"),
        (format!("{HUB}{sources}  tags: [{{name: \"T\\n\", source: sim, address: K0001}}]\n"), "a name must not \
            contain control characters"),
        (format!("{HUB}  sources: [{{name: sim}}]\n"), "set the kind of source: simulator"),
        (format!("{HUB}  sources: [{{name: sim, simulator: {{}}}}, {{name: sim, simulator: {{}}}}]\n"), "duplicate entries for key"),
        (format!("{HUB}  sources: [{{name: sim, opcua: {{}}}}]\n"), ".opcua: field not declared in schema"),
        (format!("{HUB}{sources}  tags: [{{name: T, source: plc, address: K0001}}]\n"), "a tag names a source that does not exist"),
        (format!("{HUB}  tags: [{TAG}}}]\n"), "tags need sources"),
        (format!("{HUB}{sources}  tags: [{TAG}}}, {TAG}}}]\n"), "duplicate entries for key"),
        (format!("{HUB}{sources}  tags: [{TAG}, scanInterval: 1ms}}]\n"), "use a duration from 10ms to 99999990ms"),
        (format!("{HUB}{sources}  tags: [{TAG}, scanInterval: 28h}}]\n"), "use a duration from 10ms to 99999990ms"),
        (format!("{HUB}{sources}  tags: [{TAG}, scanInterval: 1 day}}]\n"), "scanInterval"),
        (format!("{HUB}{sources}  tags: [{TAG}, scanInterval: 99999999h}}]\n"), "scanInterval"),
        (format!("{HUB}{sources}  tags: [{TAG}, publish: Sometimes}}]\n"), "supported values: \"OnChange\", \"EveryScan\""),
        (format!("{HUB}{sources}  tags: [{TAG}, dataType: Int}}]\n"), "supported values: \"Boolean\", \"Char\""),
        (format!("{HUB}{sources}  tags: [{TAG}, enabled: 2}}]\n"), "expected boolean"),
        (format!("{HUB}{sources}  tags: [{TAG}, deadband: {{}}}}]\n"), "set exactly one of absolute and percent"),
        (format!("{HUB}{sources}  tags: [{TAG}, deadband: {{absolute: 1, percent: 2}}}}]\n"), "set exactly one of absolute and percent"),
        (format!("{HUB}{sources}  tags: [{TAG}, deadband: {{absolute: -0.5}}}}]\n"), "spec.tags[0].deadband.absolute"),
        (format!("{HUB}{sources}  tags: [{TAG}, deadband: {{percent: 1001}}}}]\n"), "spec.tags[0].deadband.percent"),
        (format!("{HUB}{sources}  tags: [{TAG}, maxSilence: 1ms}}]\n"), "use a duration from 10ms"),
        (format!("{HUB}{sources}  tags: [{TAG}, publish: EveryScan, maxSilence: 1m}}]\n"), "deadband and maxSilence \
            belong to publish OnChange"),
        (format!("{HUB}{sources}  tags: [{TAG}, publish: EveryScan, deadband: {{percent: 1}}}}]\n"), "deadband and \
            maxSilence belong to publish OnChange"),
        (format!("{HUB}  telemetry: {{initialUpdate: Perhaps}}\n"), "supported values: \"Enabled\", \"Disabled\""),
        (format!("{HUB}  buffer: {{capacity: 1048576}}\n"), "spec.buffer.capacity"),
        (format!("{HUB}  buffer: {{capacity: 1Ki}}\n"), "use a quantity of bytes from 64Ki to 1Ti"),
        (format!("{HUB}  buffer: {{capacity: 2Ti}}\n"), "use a quantity of bytes from 64Ki to 1Ti"),
        (format!("{HUB}  buffer: {{capacity: much}}\n"), "use a quantity of bytes from 64Ki to 1Ti"),
        (format!("{HUB}  buffer: {{capacity: '1e9'}}\n"), "use a quantity of bytes from 64Ki to 1Ti"),
        (format!("{HUB}  buffer: {{whenFull: DropAll}}\n"), "supported values: \"DropOldest\", \"DropNewest\", \"Block\""),
        (format!("{HUB}  buffer: {{sync: Often}}\n"), "supported values: \"Never\", \"EverySecond\", \"EveryWrite\""),
        (format!("{HUB}  buffer: {{dropMarkers: true}}\n"), "spec.buffer.dropMarkers"),
        (format!("{HUB}  buffer: {{storage: {{}}}}\n"), "set exactly one of emptyDir"),
        (format!("{HUB}  buffer: {{storage: {{emptyDir: {{}}, claim: {{}}}}}}\n"), "set exactly one of emptyDir"),
        (format!("{HUB}  buffer: {{storage: {{emptyDir: {{sizeLimit: 1Gi}}}}}}\n"), "spec.buffer.storage.emptyDir: Too many"),
        (format!("{HUB}  buffer: {{storage: {{claim: {{storageClassName: ''}}}}}}\n"), "this is not a valid name of a Kubernetes object"),
        (format!("{HUB}  buffer: {{storage: {{claim: {{accessMode: ReadOnlyMany}}}}}}\n"), "supported values: \"ReadWriteOnce\""),
        (format!("{HUB}  buffer: {{storage: {{claim: {{whenDeleted: Keep}}}}}}\n"), "supported values: \"Retain\", \"Delete\""),
        (format!("{HUB}  buffer: {{storage: {{existingClaim: {{}}}}}}\n"), "spec.buffer.storage.existingClaim.name"),
        (format!("{HUB}  lastWill: {{}}\n"), "spec.lastWill.payload"),
        (format!("{HUB}  lastWill: {{payload: x, properties: {{$.ct: x}}}}\n"), "does not start with '$'"),
        (format!("{HUB}{sources}  tags: [{TAG}, access: ReadWrite}}]\n"), ".access: field not declared in schema"),
        (format!("{HUB}  telemetry: {{format: Wide, maxEvents: 5}}\n"), "maxEvents belongs to format Narrow"),
        (format!("{HUB}  telemetry: {{format: Xml}}\n"), "supported values: \"Narrow\", \"Wide\", \"Template\""),
        (format!("{HUB}  telemetry: {{format: Template}}\n"), "set template with format Template, and only with it"),
        (format!("{HUB}  telemetry: {{template: {{advanced: x}}}}\n"), "set template with format Template, and only with it"),
        (format!("{HUB}  telemetry: {{format: Template, template: {{}}}}\n"), "set exactly one of advanced"),
        (format!("{HUB}  telemetry: {{format: Template, template: {{advanced: x, standard: {{message: a, values: \
            b}}}}}}\n"), "set exactly one of advanced"),
        (format!("{HUB}  telemetry: {{format: Template, template: {{advanced: x, events: Wide}}, maxEvents: 5}}\n"), "maxEvents \
            belongs to format Narrow"),
        (format!("{HUB}  telemetry: {{maxEvents: 0}}\n"), "spec.telemetry.maxEvents"),
        (format!("{HUB}  telemetry: {{qos: 2}}\n"), "spec.telemetry.qos"),
        (format!("{HUB}  telemetry: {{interval: 0s}}\n"), "use a duration"),
        (format!("{HUB}  telemetry: {{properties: {{$.ct: x}}}}\n"), "does not start with '$'"),
        (format!("{HUB}  telemetry: {{properties: {{'': x}}}}\n"), "a property's name has 1 to 128 characters"),
        (
            format!("{HUB}  telemetry: {{properties: {{a: {0}, b: {0}, c: {0}, d: {0}, e: {0}}}}}\n", "x".repeat(1000)),
            "must not exceed 4096 characters together",
        ),
        (format!("{HUB}  agent: {{resources: {{limits: {{memory: much}}}}}}\n"), "spec.agent.resources.limits.memory"),
        (format!("{HUB}  agent: {{mode: Sidecar}}\n"), "supported values: \"Dedicated\", \"None\""),
    ];
    for (spec, expected) in cases {
        let actual = namespace.refusal(&device(&spec)).await;
        assert!(actual.contains(expected), "expected {expected:?} for\n{spec}but got: {actual}");
    }
    let long = device(HUB).replace("refused", &"n".repeat(64));
    assert!(namespace.refusal(&long).await.contains("must not be longer than 63 characters"));
}

#[tokio::test]
async fn refusals_of_groups_name_the_fix() {
    let namespace = Namespace::new("refusals").await;
    let cases = [
        ("idScope: 0ne00ABCDEF", "idScope: 0ne/1", "spec.dps.idScope"),
        ("endpoint: localhost", "endpoint: 'localhost:0'", "a port is a number from 1 to 65535"),
        (
            "{secretRef: {name: plant-key}}",
            "{secretRef: {name: Plant_Key}}",
            "this is not a valid name of a Kubernetes object",
        ),
        ("{symmetricKey: {secretRef: {name: plant-key}}}", "{}", "set exactly one of symmetricKey"),
        (
            "{secretRef: {name: plant-key}}",
            "{secretRef: {name: plant-key}, use: Both}",
            "supported values: \"Primary\", \"Secondary\"",
        ),
        ("source: sim", "source: plc", "a tag names a source that does not exist"),
        ("  template:", "  approval: Perhaps\n  template:", "supported values: \"Automatic\", \"Manual\""),
        (
            "  template:",
            "  template:\n    blocked: true",
            ".spec.template.blocked: field not declared in schema",
        ),
    ];
    for (from, to, expected) in cases {
        let yaml = group_without_secret();
        assert!(yaml.contains(from), "{from}");
        let actual = namespace.refusal(&yaml.replace(from, to)).await;
        assert!(actual.contains(expected), "expected {expected:?} for {to:?} but got: {actual}");
    }
}

#[tokio::test]
async fn a_device_id_never_changes() {
    let namespace = Namespace::new("immutable").await;
    namespace.apply(&member("one", "")).await;
    namespace.apply(&member("two", "  deviceId: second")).await;
    for (name, spec) in [("one", "  deviceId: other"), ("two", "  deviceId: third"), ("two", "")] {
        let actual = namespace.refusal(&member(name, spec)).await;
        assert!(actual.contains("deviceId cannot be changed"), "{actual}");
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
async fn new_object_is_in_progress_from_the_start() {
    let namespace = Namespace::new("first-second").await;
    namespace.apply(&group_without_secret()).await;
    namespace.apply(&member("new", "")).await;
    let device = namespace.api::<IoTDevice>().get("new").await.unwrap();
    assert_eq!((device.status.unwrap().observed_generation, device.metadata.generation), (-1, Some(1)));
    let group = namespace.api::<ProvisioningGroup>().get("plant").await.unwrap();
    assert_eq!(group.status.unwrap().observed_generation, -1);
    assert_eq!(group.spec.dps.endpoint, "localhost");
}

#[tokio::test]
async fn the_examples_of_formats_are_taken() {
    let namespace = Namespace::new("formats").await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/examples/formats");
    for file in std::fs::read_dir(folder).unwrap() {
        namespace.apply(&std::fs::read_to_string(file.unwrap().path()).unwrap()).await;
    }
    let template = |device: IoTDevice| device.spec.telemetry.unwrap().template.unwrap();
    let text = template(namespace.api::<IoTDevice>().get("mixer-41").await.unwrap()).advanced.unwrap();
    assert!(text.starts_with("{\n \"timestamp\": |SERVERTIMESTAMP|,\n"), "{text}");
    assert!(template(namespace.api::<IoTDevice>().get("mixer-42").await.unwrap()).standard.is_some());
}

/// The operator reports template errors that the schema cannot find, and applies their correction.
#[tokio::test]
async fn template_error_names_line_and_column() {
    let namespace = Namespace::new("template").await;
    let _operator = Operator::start(&[&namespace]).await;
    namespace.apply(&group_without_secret()).await;
    namespace.apply(&group_secret(K64, K32)).await;
    let with = |variable: &str| {
        let template = format!("[\\n  |#each VALUES||{variable}||#unless @last|,|/unless||/each|]");
        member("t", &format!("  telemetry: {{format: Template, template: {{advanced: \"{template}\"}}}}"))
    };
    namespace.apply(&with("VALU")).await;
    let what = "its template is refused";
    let device =
        namespace.wait("t", what, |device: &IoTDevice| is(device, "Stalled", "True", "InvalidSpec")).await;
    let ready = condition(&device.status.as_ref().unwrap().conditions, "Ready").unwrap();
    let words =
        "telemetry.template: advanced, line 2, column 17: |VALU| is not a variable: did you mean |VALUE|?";
    assert!(ready.reason == "InvalidSpec" && ready.message.starts_with(words), "{}", ready.message);
    namespace.apply(&with("VALUE")).await;
    issued(&namespace, "t").await;
}
