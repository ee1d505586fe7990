//! Buffers and their volumes: what users write, and what agent, pod and claim become of it.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Volume};
use lanyard_crds::IoTDevice;
use lanyard_handoff::buffer::{Buffer, Sync, WhenFull};
use lanyard_handoff::config::AgentConfig;
use lanyard_operator::device::plan::objects::Plan;

use crate::given::{group, in_group, through};

fn plan(buffer: &str) -> Plan {
    through(&in_group(&format!("{{groupRef: {{name: a}}, buffer: {buffer}}}"))).unwrap().2
}

fn configured(plan: &Plan) -> Buffer {
    let text = &plan.configuration.as_ref().unwrap().data.as_ref().unwrap()["agent.yaml"];
    AgentConfig::parse(text).unwrap().devices.remove(0).buffer
}

fn volume(plan: &Plan) -> Volume {
    let pod = plan.workload.clone().unwrap().spec.unwrap().template.spec.unwrap();
    pod.volumes.unwrap().into_iter().find(|volume| volume.name == "buffer").unwrap()
}

fn limit(plan: &Plan) -> Option<String> {
    volume(plan).empty_dir.and_then(|folder| folder.size_limit).map(|limit| limit.0)
}

fn claimed(plan: &Plan) -> Option<String> {
    volume(plan).persistent_volume_claim.map(|claim| claim.claim_name)
}

fn size(claim: &PersistentVolumeClaim) -> &str {
    &claim.spec.as_ref().unwrap().resources.as_ref().unwrap().requests.as_ref().unwrap()["storage"].0
}

#[test]
fn every_setting_reaches_the_agent_and_has_its_default() {
    let unset = plan("{}");
    assert_eq!(
        (configured(&unset), unset.claim.as_ref(), limit(&unset).as_deref()),
        (Buffer::default(), None, Some("352Mi"))
    );
    let set =
        configured(&plan("{capacity: 1.5Gi, whenFull: Block, sync: EveryWrite, dropMarkers: Disabled}"));
    assert_eq!((set.capacity.get(), set.when_full), (3 << 29, WhenFull::Block));
    assert_eq!((set.sync, set.drop_markers), (Sync::EveryWrite, false));
    let set = configured(&plan("{capacity: 500M, whenFull: DropNewest, sync: Never, dropMarkers: Enabled}"));
    assert_eq!((set.capacity.get(), set.when_full), (500_000_000, WhenFull::DropNewest));
    assert_eq!((set.sync, set.drop_markers), (Sync::Never, true));
    let set = configured(&plan("{whenFull: DropOldest, sync: EverySecond}"));
    assert_eq!(set, Buffer::default());
}

/// As a custom resource of an older schema could have it.
#[test]
fn invalid_amount_is_a_fault() {
    for (capacity, words) in [
        ("much", "buffer.capacity: use an amount of bytes"),
        ("1Ki", "buffer.capacity: 1Ki is not allowed here"),
    ] {
        let fault =
            through(&in_group(&format!("{{groupRef: {{name: a}}, buffer: {{capacity: {capacity}}}}}")))
                .unwrap_err();
        assert_eq!(fault.reason.as_str(), "InvalidSpec");
        assert!(fault.message.contains(words), "{}", fault.message);
    }
}

#[test]
fn a_device_replaces_the_groups_buffer_whole() {
    let with_group = |buffer: &str| {
        let mut observed = in_group(&format!("{{groupRef: {{name: a}}{buffer}}}"));
        let mut group = group();
        group.spec.template.as_mut().unwrap().buffer =
            serde_saphyr::from_str("{capacity: 1Gi, storage: {claim: {}}}").unwrap();
        observed.group = Some(std::sync::Arc::new(group));
        through(&observed).unwrap().2
    };
    let inherited = with_group("");
    assert_eq!(
        (configured(&inherited).capacity.get(), claimed(&inherited).as_deref()),
        (1 << 30, Some("press-17-agent-buffer"))
    );
    let own = with_group(", buffer: {capacity: 2Gi}");
    assert_eq!(
        (configured(&own).capacity.get(), claimed(&own), limit(&own).as_deref()),
        (2 << 30, None, Some("2368Mi"))
    );
}

#[test]
fn each_storage_kind_mounts_its_volume() {
    let folder = plan("{capacity: 1Gi, storage: {emptyDir: {}}}");
    assert_eq!(
        (limit(&folder).as_deref(), claimed(&folder), folder.claim.as_ref()),
        (Some("1216Mi"), None, None)
    );
    let existing = plan("{storage: {existingClaim: {name: shared}}}");
    assert_eq!(
        (limit(&existing), claimed(&existing).as_deref(), existing.claim.as_ref()),
        (None, Some("shared"), None)
    );
    let own = plan("{capacity: 1Gi, storage: {claim: {}}}");
    let claim = own.claim.as_ref().unwrap();
    assert_eq!((claimed(&own), size(claim)), (claim.metadata.name.clone(), "1216Mi"));
    let spec = claim.spec.as_ref().unwrap();
    assert_eq!(spec.access_modes.as_deref(), Some(&["ReadWriteOnce".to_owned()][..]));
    assert_eq!(spec.storage_class_name, None, "the cluster's default");
    let set = plan("{storage: {claim: {storageClassName: fast, accessMode: ReadWriteOncePod}}}")
        .claim
        .unwrap()
        .spec
        .unwrap();
    assert_eq!(set.access_modes.as_deref(), Some(&["ReadWriteOncePod".to_owned()][..]));
    assert_eq!(set.storage_class_name.as_deref(), Some("fast"));
}

/// Only what has an owner is taken along when the device is deleted.
#[test]
fn a_claim_has_an_owner_only_where_it_goes_with_its_device() {
    let owners = |when: &str| {
        let claim = plan(&format!("{{storage: {{claim: {{{when}}}}}}}")).claim.unwrap();
        assert_eq!(claim.metadata.labels.unwrap()["lanyard.dev/device"], "press-17");
        claim.metadata.owner_references.unwrap_or_default().len()
    };
    assert_eq!((owners(""), owners("whenDeleted: Retain"), owners("whenDeleted: Delete")), (0, 0, 1));
}

#[test]
fn a_claim_grows_without_a_new_pod() {
    let of = |capacity: &str| plan(&format!("{{capacity: {capacity}, storage: {{claim: {{}}}}}}"));
    let (before, after) = (of("1Gi"), of("2Gi"));
    assert_eq!(
        (size(before.claim.as_ref().unwrap()), size(after.claim.as_ref().unwrap())),
        ("1216Mi", "2368Mi")
    );
    assert_eq!(before.workload, after.workload);
    assert_ne!(before.configuration, after.configuration);
}

#[test]
fn device_without_an_agent_needs_no_claim() {
    let observed = in_group("{groupRef: {name: a}, buffer: {storage: {claim: {}}}, agent: {mode: None}}");
    assert_eq!(through(&observed).unwrap().2.claim, None);
}

#[test]
fn the_examples_of_buffers_reach_the_agent() {
    for (example, capacity, claim) in [
        (include_str!("../../../crds/examples/buffers/mill-51.yaml"), 10 << 30, Some("mill-51-agent-buffer")),
        (include_str!("../../../crds/examples/buffers/mill-52.yaml"), 64 << 20, None),
        (include_str!("../../../crds/examples/buffers/mill-53.yaml"), 1 << 30, Some("line-5-buffers")),
    ] {
        let mut observed = in_group("{groupRef: {name: a}}");
        let document = example.split("\n---\n").last().unwrap();
        let mut device: IoTDevice = serde_saphyr::from_str(document).unwrap();
        device.metadata.uid = Some("u3".to_owned());
        observed.device = std::sync::Arc::new(device);
        let plan = through(&observed).unwrap().2;
        assert_eq!((configured(&plan).capacity.get(), claimed(&plan).as_deref()), (capacity, claim));
    }
}
