//! From a credential to an accepted connection: the hub of the configuration, the stored one, or the one that DPS
//! assigns, and the login there. Talks to the network.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lanyard_handoff::config::{Device, Dps};
use lanyard_handoff::status::ConnectionReason;
use tokio::time::Instant;

use crate::config::credential::Credential;
use crate::credentials::failure::CredentialFailure;
use crate::credentials::token;
use crate::dps::assignment::{Assignment, AssignmentFile};
use crate::dps::registration::Registration;
use crate::environment::Environment;
use crate::mqtt::failure::Failure;
use crate::mqtt::login::{Login, Will};
use crate::mqtt::transport::Transport;
use crate::session::endpoint;
use crate::session::endpoint::Endpoint;
use crate::status::connection::ConnectionStatus;
use crate::wait::after;

/// TLS for a credential.
pub(super) type Tls = Arc<rustls::ClientConfig>;

/// Parameters of a connection, besides the credential.
pub(super) struct Connector<T> {
    pub(super) transport: T,
    pub(super) status: Arc<ConnectionStatus>,
    /// Identity and hub stay the same as long as this lives.
    pub(super) device: Arc<Device>,
    pub(super) token_lifetime: Duration,
    pub(super) keep_alive: Duration,
    /// Folder of the stored assignment.
    pub(super) folder: PathBuf,
    pub(super) environment: Environment,
}

/// An accepted connection, not used yet.
pub(super) struct OpenConnection<L> {
    pub(super) link: L,
    pub(super) target: Endpoint,
    /// Time at which the token is renewed; none for certificates.
    pub(super) renew_at: Option<Instant>,
}

impl<T: Transport> Connector<T> {
    /// Returns the DPS instance of a device that does not connect to a hub directly.
    pub(super) fn dps(&self) -> Option<&Dps> {
        self.device.dps.as_ref().filter(|_| self.device.hub.is_none())
    }

    /// Finds the hub and logs in. `registered` says that DPS has just assigned the hub for this credential.
    pub(super) async fn open(
        &self,
        credential: &Credential,
        registered: bool,
        tls: &Tls,
    ) -> Result<OpenConnection<T::Link>, CredentialFailure> {
        let target = self.find(credential, registered, tls).await?;
        let concerns_credential = !target.stored;
        self.log_in(credential, target, tls).await.map_err(|failure| match concerns_credential {
            true => CredentialFailure::at_hub(failure),
            false => CredentialFailure::unrelated(failure),
        })
    }

    async fn find(
        &self,
        credential: &Credential,
        registered: bool,
        tls: &Tls,
    ) -> Result<Endpoint, CredentialFailure> {
        if let Some(hub) = &self.device.hub {
            return Ok(Endpoint::of_hub(&self.device, hub));
        }
        let Some(dps) = self.dps() else {
            // The configuration was validated; this text helps when the validation changes.
            let words = "the configuration names neither hub nor DPS";
            let failure = Failure::new(ConnectionReason::HostNotFound, words);
            return Err(CredentialFailure::unrelated(failure));
        };
        if let Some(assignment) = self.stored(dps, credential) {
            return Ok(Endpoint::assigned(assignment, !registered));
        }
        self.status.registering();
        let assignment = self.register(dps, credential, tls).await?;
        Ok(Endpoint::assigned(assignment, false))
    }

    async fn log_in(
        &self,
        credential: &Credential,
        target: Endpoint,
        tls: &Tls,
    ) -> Result<OpenConnection<T::Link>, Failure> {
        let (host, device_id) = (target.hub.host(), target.device_id.as_str());
        if device_id.contains(['+', '#']) {
            let message = format!(
                "device id {device_id:?} cannot be part of an MQTT topic: register the device under an id without '+' and '#'"
            );
            return Err(Failure::new(ConnectionReason::ProtocolRefused, message));
        }
        let now = self.environment.now();
        let expiry = token::expiry(now, self.token_lifetime);
        let model_id = self.device.model_id.as_deref();
        let mut login = Login::at_hub(credential, host, device_id, model_id, expiry, self.keep_alive);
        login.will = self.device.last_will.as_ref().map(|will| Will::of(device_id, will));
        // The issuer of a certificate renews it.
        let renew_at = credential.certificate().is_none().then(|| {
            self.status.token_expires(expiry);
            after(Instant::now(), token::renewal(now, expiry, self.environment.chance()))
        });
        let link = self.transport.connect(&target.peer, login, Arc::clone(tls)).await?;
        Ok(OpenConnection { link, target, renew_at })
    }

    /// Asks DPS for the hub and stores it.
    pub(super) async fn register(
        &self,
        dps: &Dps,
        credential: &Credential,
        tls: &Tls,
    ) -> Result<Assignment, CredentialFailure> {
        let registration = Registration {
            dps,
            registration_id: endpoint::registration_id(&self.device, dps),
            model_id: self.device.model_id.as_deref(),
            credential,
            expiry: token::expiry(self.environment.now(), self.token_lifetime),
            transport: &self.transport,
        };
        let assignment = registration.run(Arc::clone(tls)).await.map_err(CredentialFailure::at_dps)?;
        tracing::info!(device = self.status.name(), hub = %assignment.assigned_hub, "DPS assigned the device to a hub");
        if let Err(error) = self.file(dps, credential).save(&assignment) {
            tracing::warn!(
                device = self.status.name(),
                "failed to store the assignment; the agent asks DPS at every start: {error}"
            );
        }
        Ok(assignment)
    }

    /// Deletes the stored assignment, so that DPS is asked again.
    pub(super) fn forget(&self, credential: &Credential) {
        if let Some(dps) = self.dps() {
            self.file(dps, credential).remove();
        }
    }

    fn stored(&self, dps: &Dps, credential: &Credential) -> Option<Assignment> {
        let file = self.file(dps, credential);
        file.load().unwrap_or_else(|error| {
            tracing::warn!(
                device = self.status.name(),
                "the stored assignment cannot be used; the agent asks DPS: {error}"
            );
            // DPS's answer takes its place; until then it is not worth another line.
            file.remove();
            None
        })
    }

    fn file<'a>(&self, dps: &Dps, credential: &'a Credential) -> AssignmentFile<'a> {
        let registration_id = endpoint::registration_id(&self.device, dps);
        AssignmentFile::new(&self.folder, dps, registration_id, credential)
    }
}
