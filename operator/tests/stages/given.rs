//! Objects as a user would write them, and what the operator saw around them. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_operator::arguments::PullPolicy;
use lanyard_operator::credential::pair::{KeyKind, Pair, PairError};
use lanyard_operator::credential::rollover_queue::RolloverTurn;
use lanyard_operator::credential::stored::Credential;
use lanyard_operator::device::issue::credential::{Environment, Issue, Issued, KnownCredential, issue};
use lanyard_operator::device::observe::observation::DeviceObservation;
use lanyard_operator::device::plan::defaults::AgentDefaults;
use lanyard_operator::device::plan::objects::{Plan, plan};
use lanyard_operator::device::validate::effective::{EffectiveDevice, validate};
use lanyard_operator::fault::Fault;
use lanyard_operator::kubernetes::secret::SecretData;
use lanyard_operator::permit::{self, Rules};

pub(crate) const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const K64: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

pub(crate) fn device(spec: &str) -> IoTDevice {
    let yaml = format!(
        "
apiVersion: lanyard.dev/v1alpha1
kind: IoTDevice
metadata: {{name: press-17, namespace: plant, uid: u1, generation: 3}}
spec: {spec}
"
    );
    serde_saphyr::from_str(&yaml).unwrap()
}

pub(crate) fn group() -> ProvisioningGroup {
    let yaml = "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {name: a, namespace: plant, uid: u2, generation: 1}
spec:
  dps: {idScope: 0ne00ABCDEF}
  attestation: {symmetricKey: {secretRef: {name: key}}}
  template:
    modelId: dtmi:contoso:Press;1
    sources: [{name: sim, simulator: {}}]
    tags: [{name: Ramp, source: sim, address: K0001, scanInterval: 500ms}, {name: Sine, source: sim, address: K0002}]
    telemetry: {interval: 2s, properties: {plant: a, line: '1'}}
";
    serde_saphyr::from_str(yaml).unwrap()
}

pub(crate) fn secret(entries: &[(&str, &str)]) -> SecretData {
    entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

/// Returns a device of the group, whose Secret holds K64 and K32.
pub(crate) fn in_group(spec: &str) -> DeviceObservation {
    DeviceObservation {
        device: Arc::new(device(spec)),
        group: Some(Arc::new(group())),
        key: Some(secret(&[("primaryKey", K64), ("secondaryKey", K32)])),
        ..DeviceObservation::default()
    }
}

/// Returns a device that connects straight to a hub.
pub(crate) fn at_hub(entries: &[(&str, &str)]) -> DeviceObservation {
    let spec = "{hub: {hostname: hub.example, auth: {symmetricKey: {secretRef: {name: own}}}}}";
    DeviceObservation {
        device: Arc::new(device(spec)),
        key: Some(secret(entries)),
        ..DeviceObservation::default()
    }
}

pub(crate) fn defaults() -> AgentDefaults {
    AgentDefaults::new("agent:1".to_owned(), PullPolicy::IfNotPresent)
}

/// Environment that a test sets.
pub(crate) struct Given {
    pub(crate) now: Timestamp,
    pub(crate) turn: RolloverTurn,
    pub(crate) keys: bool,
}

impl Default for Given {
    fn default() -> Self {
        Self { now: Timestamp::from_second(1_790_000_000).unwrap(), turn: RolloverTurn::Now, keys: true }
    }
}

impl Environment for Given {
    fn pair(&self, kind: KeyKind) -> Result<Option<Pair>, PairError> {
        if self.keys { Pair::generate(kind).map(Some) } else { Ok(None) }
    }

    fn serial(&self) -> [u8; 16] {
        [7; 16]
    }

    fn turn(&self, _: &Fingerprint) -> RolloverTurn {
        self.turn
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

/// Runs the pure stages from validate to plan.
pub(crate) fn through(observed: &DeviceObservation) -> Result<(EffectiveDevice, Issued, Plan), Fault> {
    let valid = validate(observed)?;
    permit::device(observed, &valid, &Rules::default())?;
    let Issue::Done(issued) = issue(&valid, observed, KnownCredential::default(), &Given::default())? else {
        panic!("keys are there at once")
    };
    let plan = plan(&observed.device, &valid, (*issued).clone(), &defaults());
    Ok((valid, *issued, plan))
}

/// Returns the key that the Secret shall hold, as text.
pub(crate) fn key_of(issued: &Issued) -> String {
    match &issued.holding.current {
        Credential::Key(key) => key.to_base64().to_string(),
        Credential::Certificate(_) => panic!("a certificate and no key"),
    }
}

/// Returns a group whose CA is in Secret `ca`.
pub(crate) fn x509_group() -> ProvisioningGroup {
    serde_saphyr::from_str(
        "
apiVersion: lanyard.dev/v1alpha1
kind: ProvisioningGroup
metadata: {name: a, namespace: plant, uid: u2, generation: 1}
spec:
  dps: {idScope: 0ne00ABCDEF}
  attestation: {x509: {issuer: {secretRef: {name: ca}}}}
",
    )
    .unwrap()
}
