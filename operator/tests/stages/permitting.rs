//! Referenced objects are used only as the owner of the Secret or claim allows.

use std::sync::Arc;

use lanyard_operator::credential::bounds::Endpoints;
use lanyard_operator::device::observe::observation::DeviceObservation;
use lanyard_operator::device::validate::effective::validate;
use lanyard_operator::kubernetes::found::CaSecret;
use lanyard_operator::kubernetes::found::ClaimSeen;
use lanyard_operator::kubernetes::secret::Marks;
use lanyard_operator::permit::{self, Rules};
use lanyard_protocol::hub::key::SymmetricKey;

use crate::given::{K32, K64, at_hub, device, in_group, secret, through};

fn refused(observed: &DeviceObservation, rules: &Rules) -> (&'static str, String) {
    let valid = validate(observed).unwrap();
    let fault = permit::device(observed, &valid, rules).unwrap_err();
    (fault.reason.as_str(), fault.message)
}

fn declared(use_: &str) -> Marks {
    Marks { declared: Some(use_.to_owned()), ..Marks::default() }
}

/// H2: a group's key, named by a device as its own, would be the key of every device of the group.
#[test]
fn h2_a_groups_key_is_no_devices_key() {
    let mut observed = at_hub(&[("primaryKey", K64)]);
    observed.key_of_group = Some("plant-a".to_owned());
    let (reason, message) = refused(&observed, &Rules::default());
    assert_eq!(reason, "SecretUseMismatch");
    assert!(message.contains("ProvisioningGroup plant-a"), "{message}");
    let (reason, message) =
        refused(&at_hub(&[("primaryKey", K64), ("secondaryKey", K32)]), &Rules::default());
    assert_eq!(reason, "SecretUseMissing");
    assert!(message.contains("`kubectl -n plant label secret own lanyard.dev/use=device-key`"), "{message}");

    // An IoT Hub device has two keys as well; with the owner's consent both may be in its Secret.
    let mut observed = at_hub(&[]);
    let both = secret(&[("primaryKey", K32), ("secondaryKey", K64)]);
    observed.key = Some(both.marked(declared("device-key")));
    assert!(through(&observed).is_ok());
}

#[test]
fn h2_a_secret_for_another_use_is_refused() {
    let cases = [
        ("{hub: {hostname: h.example, auth: {symmetricKey: {secretRef: {name: own}}}}}", "group-key"),
        ("{hub: {hostname: h.example, auth: {certificate: {secretRef: {name: own}}}}}", "issuer"),
        ("{groupRef: {name: a}}", "device-key"),
    ];
    for (spec, other) in cases {
        let mut observed = in_group("{groupRef: {name: a}}");
        observed.device = Arc::new(device(spec));
        observed.key = Some(secret(&[("primaryKey", K64)]).marked(declared(other)));
        assert_eq!(refused(&observed, &Rules::default()).0, "SecretUseMismatch", "{spec}");
    }
    let mut observed = in_group("{groupRef: {name: a}}");
    observed.ca_secret =
        Some(CaSecret { name: "ca".to_owned(), marks: secret(&[]).marked(declared("group-key")) });
    let (reason, message) = refused(&observed, &Rules::default());
    assert_eq!(reason, "SecretUseMismatch");
    assert!(message.contains("\"ca\""), "{message}");
}

#[test]
fn h2_every_secret_needs_its_use_where_it_is_required() {
    let rules = Rules { explicit_use: true, ..Rules::default() };
    let mut observed = in_group("{groupRef: {name: a}}");
    assert_eq!(refused(&observed, &rules).0, "SecretUseMissing");
    observed.key = observed.key.map(|key| key.marked(declared("group-key")));
    let valid = validate(&observed).unwrap();
    assert_eq!(permit::device(&observed, &valid, &rules), Ok(()));
    // Nothing is asked of a device whose certificate the operator makes.
    let own = "{hub: {hostname: h.example, auth: {selfSigned: {}}}}";
    let observed = DeviceObservation { device: Arc::new(device(own)), ..DeviceObservation::default() };
    let valid = validate(&observed).unwrap();
    assert_eq!(permit::device(&observed, &valid, &rules), Ok(()));
}

/// H3: whoever receives a token can use it at the real hub or DPS.
#[test]
fn h3_a_key_goes_only_where_its_secret_allows() {
    let spec = "{hub: {hostname: hub.example, gatewayHostname: evil.example, auth: {symmetricKey: {secretRef: {name: own}}}}}";
    let string = format!("HostName=hub.example;DeviceId=press-17;SharedAccessKey={K32}");
    let mut observed = at_hub(&[("connectionString", &string)]);
    assert!(through(&observed).is_ok());
    observed.device = Arc::new(device(spec));
    let (reason, message) = refused(&observed, &Rules::default());
    assert_eq!(reason, "DestinationNotAllowed");
    assert!(message.contains("hub.gatewayHostname evil.example") && !message.contains(K32), "{message}");

    let mut observed = in_group("{groupRef: {name: a}}");
    observed.key = Some(secret(&[("primaryKey", K64), ("idScope", "0ne00OTHER")]));
    let (reason, message) = refused(&observed, &Rules::default());
    assert_eq!(reason, "DestinationNotAllowed");
    assert!(message.contains("its idScope ") && !message.contains("0ne00OTHER"), "{message}");
    let derived = SymmetricKey::from_base64(K64).unwrap().derive("press-17").to_base64();
    assert!(!message.contains(derived.as_str()));
}

#[test]
fn h3_tokens_for_dps_go_to_allowed_endpoints_only() {
    let mut observed = in_group("{groupRef: {name: a}}");
    let evil = "evil.example".to_owned();
    Arc::make_mut(observed.group.as_mut().unwrap()).spec.dps.endpoint = evil.clone();
    let (reason, message) = refused(&observed, &Rules::default());
    assert_eq!(reason, "EndpointNotAllowed");
    assert!(message.starts_with("dps.endpoint of ProvisioningGroup a: evil.example"), "{message}");
    let rules = Rules { endpoints: Endpoints::new(vec![evil]), ..Rules::default() };
    let valid = validate(&observed).unwrap();
    assert_eq!(permit::device(&observed, &valid, &rules), Ok(()));
}

/// M4: mounting a claim changes the group of every file on it.
#[test]
fn m4_a_claim_must_be_given_to_buffers() {
    let mut observed =
        in_group("{groupRef: {name: a}, buffer: {storage: {existingClaim: {name: database}}}}");
    for (seen, words) in [
        (ClaimSeen::Missing, "there is no PersistentVolumeClaim \"database\""),
        (ClaimSeen::Unlabelled, "`kubectl -n plant label pvc database lanyard.dev/buffer=shared`"),
    ] {
        observed.existing_claim = seen;
        let (reason, message) = refused(&observed, &Rules::default());
        assert_eq!(reason, "ClaimNotShared");
        assert!(message.contains(words), "{message}");
    }
    observed.existing_claim = ClaimSeen::Shared;
    let (_, _, plan) = through(&observed).unwrap();
    let pod = plan.workload.unwrap().spec.unwrap().template.spec.unwrap();
    let security = pod.security_context.unwrap();
    assert_eq!(security.fs_group_change_policy.as_deref(), Some("OnRootMismatch"));
    let mounts = pod.containers[0].volume_mounts.clone().unwrap();
    let buffer = mounts.iter().find(|mount| mount.name == "buffer").unwrap();
    let place = (buffer.mount_path.as_str(), buffer.sub_path.as_deref());
    assert_eq!(place, ("/var/lib/lanyard/buffer/press-17", Some("press-17")));
}
