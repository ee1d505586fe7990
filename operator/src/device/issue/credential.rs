//! Third stage: the credential that a device's Secret shall hold: derived, taken, made or kept, and the one before beside it.
//! Pure: keys, serial numbers and turns come from [`Environment`].

use jiff::Timestamp;
use lanyard_crds::status::{CredentialsProof, CredentialsStatus};
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_handoff::status as handoff;
use lanyard_protocol::hub::connection_string::DeviceConnectionString;
use lanyard_protocol::hub::host::{HostPort, MQTT_TLS_PORT};
use lanyard_protocol::hub::key::SymmetricKey;

use crate::credential::change::{self, LetGo, Verdict, judge};
use crate::credential::issuer::Issuer;
use crate::credential::leaf::{self, LeafError, LeafRequest};
use crate::credential::pair::{KeyKind, Pair, PairError};
use crate::credential::rollover_queue::RolloverTurn;
use crate::credential::stored::{Credential, Holding, StoredCredentials};
use crate::credential::{self, external, schedule};
use crate::device::observe::observation::DeviceObservation;
use crate::device::validate::effective::{Destination, EffectiveDevice};
use crate::device::validate::origin::Origin;
use crate::fault::Fault;
use crate::kubernetes::found::CaFound;
use crate::kubernetes::secret::SecretData;
use crate::reason::Reason;

/// Environment of the issue stage.
pub trait Environment {
    /// Returns a new key; `None` while it is being generated.
    ///
    /// # Errors
    /// [`PairError`]
    fn pair(&self, kind: KeyKind) -> Result<Option<Pair>, PairError>;
    /// Returns a random number for a certificate's serial number.
    fn serial(&self) -> [u8; 16];
    /// Returns whether the device may move to this key or CA of its group now.
    fn turn(&self, to: &Fingerprint) -> RolloverTurn;
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// Credential and trust of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Content of the Secret. `Debug` shows no secrets.
    pub holding: Holding,
    /// Result of the current credential at the hub.
    pub proof: CredentialsProof,
    /// Time at which the operator issues the next certificate.
    pub renewal_at: Option<Timestamp>,
    /// Reason why the Secret does not have its final content yet.
    pub pending: Option<Pending>,
    /// PEM certificates trusted besides the public roots.
    pub trusted_ca: Option<String>,
}

/// Reason why a device keeps its current credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// Others of its group come first.
    RolloverTurn(RolloverTurn),
    /// The next key is being made.
    Key,
}

/// Result of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issue {
    /// To the end.
    Done(Box<Issued>),
    /// The device's first key is being made.
    Making,
}

/// Known state of the device's credential before this reconcile.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnownCredential<'a> {
    /// Report of the agent.
    pub reported: Option<&'a handoff::Credential>,
    /// Status of the credentials.
    pub recorded: Option<&'a CredentialsStatus>,
}

/// Returns the device's credential. The same inputs give the same key, so no key is stored twice.
///
/// # Errors
/// [`Fault`]: an error that a user must fix; it never contains a part of a key.
pub fn issue(
    valid: &EffectiveDevice,
    observed: &DeviceObservation,
    known: KnownCredential<'_>,
    means: &dyn Environment,
) -> Result<Issue, Fault> {
    let nothing = StoredCredentials::default();
    let stored = observed.stored.as_ref().unwrap_or(&nothing);
    let fingerprint = stored.current.as_ref().map(Credential::fingerprint);
    let proof = fingerprint.map_or(CredentialsProof::Untried, |fingerprint| {
        change::proof(&fingerprint, known.reported, known.recorded)
    });
    let stage =
        Stage { stored, proof, uid: observed.device.metadata.uid.as_deref().unwrap_or_default(), means };
    let key = observed.key.as_ref();
    let trusted_ca = trusted_ca(&observed.trusted_ca)?;
    let chosen = match &valid.origin {
        Origin::Group { secret, key: name, .. } => {
            let group = group_key(secret, name, key)?;
            let key = Credential::Key(group.derive(valid.device_id.as_str()));
            stage.given(key, Some(Fingerprint::of_key(&group)))
        }
        Origin::Own { secret } => stage.given(Credential::Key(own_key(valid, secret, key)?), None),
        Origin::Kept { secret, name, letters } => {
            let certified = external::read(secret, key, (name, *letters), means.now())?;
            stage.given(Credential::Certificate(Box::new(certified)), None)
        }
        Origin::SelfSigned(request) => stage.made(request, None)?,
        Origin::Issued { secret, request, .. } => {
            let issuer = Issuer::read(secret, key, means.now())?;
            stage.made(request, Some(&issuer))?
        }
    };
    let Some(Chosen { holding, proof, renewal_at, pending }) = chosen else { return Ok(Issue::Making) };
    Ok(Issue::Done(Box::new(Issued { holding, proof, renewal_at, pending, trusted_ca })))
}

/// With what a credential is chosen.
struct Stage<'a> {
    stored: &'a StoredCredentials,
    proof: CredentialsProof,
    uid: &'a str,
    means: &'a dyn Environment,
}

struct Chosen {
    holding: Holding,
    proof: CredentialsProof,
    renewal_at: Option<Timestamp>,
    pending: Option<Pending>,
}

impl Stage<'_> {
    /// Returns a credential that exists, or is derived; `group` is the fingerprint of the key from which it is
    /// derived.
    fn given(&self, credential: Credential, group: Option<Fingerprint>) -> Option<Chosen> {
        let now = self.means.now();
        let chosen = |current, previous, issuer, proof| Chosen {
            holding: Holding { current, previous, issuer, slot: None },
            proof,
            renewal_at: None,
            pending: None,
        };
        if self.stored.current.as_ref() == Some(&credential) {
            let previous = change::staying(self.stored, self.proof, LetGo::WhenProven, now);
            return Some(chosen(credential, previous, group, self.proof));
        }
        let previous = change::leaving(self.stored, &credential, self.proof, LetGo::WhenProven, now);
        if let Some(pending) = self.pending(group.as_ref(), previous.as_ref(), now) {
            return self.waiting(pending, now);
        }
        Some(chosen(credential, previous, group, CredentialsProof::Untried))
    }

    /// Returns the certificate to use if the operator issues it: the current one, the previous one or a new one; `None`
    /// while the key of the first one is being generated.
    fn made(&self, request: &LeafRequest, issuer: Option<&Issuer>) -> Result<Option<Chosen>, Fault> {
        let now = self.means.now();
        let spread = schedule::spread(self.uid);
        let judged = |credential: &Credential| judge(credential, request, issuer, spread, now);
        let verdict = self.stored.current.as_ref().map(|current| match judged(current) {
            // A certificate of another program that happens to fit has no slot.
            Verdict::Good if issuer.is_none() && self.stored.slot.is_none() => Verdict::Other,
            // The clock is right: the hub refuses the certificate too.
            Verdict::Good if self.proof == CredentialsProof::Refused && change::is_early(current, now) => {
                Verdict::Due
            }
            verdict => verdict,
        });
        let let_go = if issuer.is_some() { LetGo::WhenProven } else { LetGo::WhenItEnds };
        if let (Some(Verdict::Good), Some(current)) = (verdict, self.stored.current.clone()) {
            let previous = change::staying(self.stored, self.proof, let_go, now);
            return Ok(Some(self.chosen(current, previous, self.stored.slot, self.proof, (request, issuer))));
        }
        // Unless the current one is known to work: then it stays beside a new one, as at every change.
        let returns = issuer.is_some() && self.proof != CredentialsProof::Accepted;
        let reverted =
            self.stored.previous.clone().filter(|previous| returns && judged(previous) == Verdict::Good);
        if let (Some(Verdict::Other), Some(previous)) = (verdict, reverted) {
            return Ok(Some(self.chosen(previous, None, None, CredentialsProof::Untried, (request, issuer))));
        }
        if let (Some(Verdict::Other), Some(issuer)) = (verdict, issuer)
            && let Some(pending) =
                self.pending(Some(&issuer.fingerprint()), self.stored.current.as_ref(), now)
        {
            return Ok(self.waiting(pending, now));
        }
        let Some(pair) = self.means.pair(request.key).map_err(|error| signing_failed(&error))? else {
            return Ok(self.waiting(Pending::Key, now));
        };
        let serial = leaf::serial(self.means.serial());
        let certified = match issuer {
            None => leaf::self_signed(request, &pair, &serial, now),
            Some(issuer) => leaf::issued(request, &pair, issuer, &serial, now),
        };
        let certified: Result<_, LeafError> = certified;
        let current = Credential::Certificate(Box::new(certified.map_err(|error| signing_failed(&error))?));
        let previous = change::leaving(self.stored, &current, self.proof, let_go, now);
        let slot = issuer.is_none().then(|| change::slot(self.stored, previous.as_ref()));
        Ok(Some(self.chosen(current, previous, slot, CredentialsProof::Untried, (request, issuer))))
    }

    /// Returns whether other devices come first. A device without a working credential does not wait.
    fn pending(
        &self,
        group: Option<&Fingerprint>,
        has: Option<&Credential>,
        now: Timestamp,
    ) -> Option<Pending> {
        has.filter(|has| !change::has_ended(has, now))?;
        match self.means.turn(group?) {
            RolloverTurn::Now => None,
            turn => Some(Pending::RolloverTurn(turn)),
        }
    }

    /// Returns the credential in use, which stays until what is pending is done; `None` if there is none.
    fn waiting(&self, pending: Pending, now: Timestamp) -> Option<Chosen> {
        let current = self.stored.current.clone()?;
        let issuer = match &current {
            Credential::Key(_) => self.stored.issuer.clone(),
            Credential::Certificate(certified) => certified.issuer(),
        };
        let let_go = if self.stored.slot.is_some() { LetGo::WhenItEnds } else { LetGo::WhenProven };
        let previous = change::staying(self.stored, self.proof, let_go, now);
        Some(Chosen {
            holding: Holding { current, previous, issuer, slot: self.stored.slot },
            proof: self.proof,
            renewal_at: None,
            pending: Some(pending),
        })
    }

    fn chosen(
        &self,
        current: Credential,
        previous: Option<Credential>,
        slot: Option<lanyard_crds::slot::InUse>,
        proof: CredentialsProof,
        (request, issuer): (&LeafRequest, Option<&Issuer>),
    ) -> Chosen {
        let ends = issuer.map(Issuer::not_after);
        let renewal_at = current.certified().and_then(|certified| {
            schedule::renewal(certified.leaf(), request, schedule::spread(self.uid), ends)
        });
        // Certificates above may be exchanged without a new one for the device.
        let current = match (current, issuer) {
            (Credential::Certificate(certified), Some(issuer)) => {
                Credential::Certificate(Box::new(certified.with_chain(issuer.chain())))
            }
            (current, _) => current,
        };
        let issuer = issuer.map(Issuer::fingerprint);
        Chosen { holding: Holding { current, previous, issuer, slot }, proof, renewal_at, pending: None }
    }
}

fn signing_failed(error: &dyn std::error::Error) -> Fault {
    Fault::new(Reason::SigningFailed, format!("no certificate can be made: {error}"))
}

/// Reads a group's key from the group's Secret.
///
/// # Errors
/// [`Fault`]: a missing Secret or key, or a key that is none.
pub fn group_key(secret: &str, key: &str, data: Option<&SecretData>) -> Result<SymmetricKey, Fault> {
    let data = data.ok_or_else(|| secret_not_found(secret, key))?;
    let bytes = data.bytes(key).ok_or_else(|| key_missing(secret, &[key]))?;
    SymmetricKey::read(bytes).map_err(|error| key_not_base64(secret, key, &error))
}

fn secret_not_found(secret: &str, key: &str) -> Fault {
    Fault::new(
        Reason::SecretNotFound,
        format!("there is no Secret {secret:?} in this namespace: create it with the key {key}"),
    )
}

/// Returns the fault of a Secret without the wanted key. It names none of the keys that are there: a user who may name
/// a Secret need not be allowed to read it.
fn key_missing(secret: &str, keys: &[&str]) -> Fault {
    let keys = keys.join(" or ");
    Fault::new(Reason::SecretKeyMissing, format!("Secret {secret:?} has no key {keys}: add it"))
}

fn key_not_base64(secret: &str, key: &str, error: &dyn std::error::Error) -> Fault {
    Fault::new(Reason::KeyNotBase64, format!("{key} in Secret {secret:?} cannot be used: {error}"))
}

fn own_key(valid: &EffectiveDevice, secret: &str, data: Option<&SecretData>) -> Result<SymmetricKey, Fault> {
    const WANTED: [&str; 2] = ["connectionString", "primaryKey"];
    let data = data.ok_or_else(|| secret_not_found(secret, &WANTED.join(" or ")))?;
    if let Some(bytes) = data.bytes(WANTED[0]) {
        let parsed = DeviceConnectionString::read(bytes);
        let parsed = parsed.map_err(|error| {
            Fault::new(
                Reason::InvalidConnectionString,
                format!("connectionString in Secret {secret:?}: {error}"),
            )
        })?;
        return agreed(valid, secret, parsed);
    }
    let bytes = data.bytes(WANTED[1]).ok_or_else(|| key_missing(secret, &WANTED))?;
    SymmetricKey::read(bytes).map_err(|error| key_not_base64(secret, WANTED[1], &error))
}

/// Returns the key of a connection string that agrees with the device. It names hub and device too: another device's key
/// is refused here and not first at the hub.
fn agreed(
    valid: &EffectiveDevice,
    secret: &str,
    parsed: DeviceConnectionString,
) -> Result<SymmetricKey, Fault> {
    let mismatch = |field: &str, path: &str, expected: &str| {
        let message = format!(
            "the {field} of connectionString in Secret {secret:?} is not {path}, {expected:?}: correct one of them"
        );
        Err(Fault::new(Reason::ConnectionStringMismatch, message))
    };
    if parsed.device_id != valid.device_id {
        return mismatch("DeviceId", "the device's id", valid.device_id.as_str());
    }
    let Destination::Hub(hub) = &valid.destination else { return Ok(parsed.key) };
    // A string without a port is any port's: Azure writes none.
    let other_port = ![MQTT_TLS_PORT, hub.hostname.port()].contains(&parsed.hostname.port());
    if !hub.hostname.host().eq_ignore_ascii_case(parsed.hostname.host()) || other_port {
        return mismatch("HostName", "hub.hostname", &hub.hostname.to_string());
    }
    if let Some(named) = &parsed.gateway_hostname {
        let same =
            |own: &HostPort| own.host().eq_ignore_ascii_case(named.host()) && own.port() == named.port();
        let own = hub.gateway_hostname.as_ref();
        if !own.is_some_and(same) {
            let own = own.map_or_else(|| "unset".to_owned(), ToString::to_string);
            return mismatch("GatewayHostName", "hub.gatewayHostname", &own);
        }
    }
    Ok(parsed.key)
}

/// Returns the certificates that a reference leads to; `None` without a reference.
///
/// # Errors
/// [`Fault`]: something missing, or no certificate.
pub fn trusted_ca(found: &CaFound) -> Result<Option<String>, Fault> {
    match found {
        CaFound::NotAsked => Ok(None),
        CaFound::NoObject { object } => Err(Fault::new(
            Reason::TrustedCANotFound,
            format!(
                "trustedCA refers to {object}, which is not in this namespace: create it or correct the reference"
            ),
        )),
        CaFound::NoKey { object, key } => Err(Fault::new(
            Reason::TrustedCANotFound,
            format!(
                "trustedCA refers to key {key:?} of {object}, which has no such key: add it or correct the reference"
            ),
        )),
        CaFound::Text { object, bytes } => {
            let text = credential::trusted_ca::read(bytes).map_err(|error| {
                Fault::new(Reason::TrustedCAInvalid, format!("trustedCA refers to {object}: {error}"))
            })?;
            Ok(Some(text))
        }
    }
}
