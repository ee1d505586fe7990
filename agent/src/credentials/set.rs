//! Set of a device's credentials: takes new files if they are usable, keeps the current ones otherwise, and reports
//! the result of each credential. Pure; another task reads the files.

use std::sync::Arc;
use std::time::Duration;

use lanyard_handoff::credentials::CERTIFICATE;
use lanyard_handoff::status::{ConnectionReason, Refused};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::credential::{Credential, Validity};
use crate::config::credentials::{Credentials, CredentialsError};
use crate::credentials::failure::CredentialFailure;
use crate::credentials::select::{RetryRule, Selection};
use crate::environment::Environment;
use crate::mqtt::failure::Failure;
use crate::mqtt::trust::Trust;
use crate::status::connection::ConnectionStatus;

/// A device's credentials, or why there are none.
pub type CredentialsWatch = watch::Receiver<Result<Arc<Credentials>, Arc<CredentialsError>>>;

/// Set of a device's credentials.
pub(crate) struct CredentialSet {
    status: Arc<ConnectionStatus>,
    trust: Trust,
    watch: CredentialsWatch,
    selection: Selection,
    ca: Option<Arc<[u8]>>,
    /// Error of the current files, as a whole or in part.
    problem: Option<String>,
    /// True if the error concerns all devices; it is then logged once for all of them.
    logged_for_all: bool,
    environment: Environment,
}

impl CredentialSet {
    pub(crate) fn new(
        status: Arc<ConnectionStatus>,
        trust: Trust,
        watch: CredentialsWatch,
        retry: Duration,
        environment: Environment,
    ) -> Self {
        let selection = Selection::new(retry);
        let mut this = Self {
            status,
            trust,
            watch,
            selection,
            ca: None,
            problem: None,
            logged_for_all: false,
            environment,
        };
        this.take();
        this
    }

    /// Waits until the files are others.
    pub(crate) async fn changed(&self) {
        if self.watch.clone().changed().await.is_err() {
            // The reader of the files has ended, and ends this device too.
            std::future::pending::<()>().await;
        }
    }

    /// Takes the files if they are others.
    pub(crate) fn update(&mut self) {
        if self.watch.has_changed().unwrap_or(false) {
            self.take();
        }
    }

    fn take(&mut self) {
        let newest = self.watch.borrow_and_update().clone();
        self.logged_for_all = newest.as_ref().is_err_and(|error| error.is_of_directory());
        let (problem, what) = match newest {
            Err(error) => (Some(error.to_string()), "the previous ones stay in use"),
            Ok(credentials) => match self.trust.client(credentials.ca.as_deref(), None) {
                Err(error) => {
                    let problem = format!("{} cannot be used: {error}", credentials.ca_path.display());
                    (Some(problem), "the previous ones stay in use")
                }
                Ok(_) => {
                    self.ca.clone_from(&credentials.ca);
                    self.selection.offer(&credentials.offered);
                    self.status.credential_refused(None);
                    (credentials.problem.as_ref().map(ToString::to_string), "the other files are used")
                }
            },
        };
        // Without any credential, the connection reports it; a problem of all devices is reported once for all.
        let silent =
            self.logged_for_all || self.selection.next(Instant::now()).is_none() || self.problem == problem;
        if let Some(problem) = problem.as_ref().filter(|_| !silent) {
            let device = self.status.name();
            tracing::warn!(device, "new credentials are not used, {what}: {problem}");
        }
        self.status.credentials_unreadable(problem.clone());
        self.problem = problem;
    }

    /// Returns the one to log in with now.
    ///
    /// # Errors
    /// A failure when there is none.
    pub(crate) fn next(&self, now: Instant) -> Result<Arc<Credential>, Failure> {
        let next = self.selection.next(now).map(Arc::clone);
        next.ok_or_else(|| {
            let problem = self.problem.clone().unwrap_or_default();
            Failure::new(ConnectionReason::CredentialsUnreadable, problem)
        })
    }

    /// Returns whether the failure is logged once for all devices.
    pub(crate) const fn is_logged_for_all(&self) -> bool {
        self.logged_for_all
    }

    /// Returns one that should take the place of the one in use.
    pub(crate) fn better(&self, in_use: &Credential, now: Instant) -> Option<Arc<Credential>> {
        let next = self.selection.next(now)?;
        (next.fingerprint != in_use.fingerprint).then(|| Arc::clone(next))
    }

    /// Returns the time at which there may be a better one.
    pub(crate) fn again_at(&self, in_use: &Credential) -> Option<Instant> {
        if self.selection.is_newest(&in_use.fingerprint) { None } else { self.selection.again_at() }
    }

    /// Prepares TLS with it.
    ///
    /// # Errors
    /// A failure when the library refuses it.
    pub(crate) fn tls(
        &self,
        credential: &Credential,
    ) -> Result<Arc<rustls::ClientConfig>, CredentialFailure> {
        self.trust.client(self.ca.as_deref(), credential.certificate()).map_err(|error| {
            let failure = Failure::new(ConnectionReason::CredentialsUnreadable, error.to_string());
            CredentialFailure { failure, rule: Some(RetryRule::Dps) }
        })
    }

    /// Refuses a certificate that its validity period alone forbids. One that is not valid yet is used if there is no
    /// other, because the clock of this machine may be wrong.
    ///
    /// # Errors
    /// The failure, and the pause of the credential.
    pub(crate) fn check_validity(&self, credential: &Credential) -> Result<(), CredentialFailure> {
        let (fingerprint, now) = (&credential.fingerprint, self.environment.now());
        let (words, rule) = match credential.life(now) {
            Validity::Within => return Ok(()),
            Validity::After { ended } => (
                format!("expired at {ended}: renew it, or check this machine's clock, which says {now:.0}"),
                RetryRule::Dps,
            ),
            Validity::Before { begins } => {
                let left = credential.begins_in(now).filter(|_| self.selection.has_other(fingerprint));
                let Some(left) = left else { return Ok(()) };
                (
                    format!(
                        "is not valid before {begins}, and this machine's clock says {now:.0}: correct the clock, or wait"
                    ),
                    RetryRule::For(left),
                )
            }
        };
        // The certificates above it in the chain end too, and a server refuses the whole chain then.
        let above = match credential.certificate().map_or(1, |certificate| certificate.ends_first) {
            position @ 2.. if matches!(rule, RetryRule::Dps) => {
                format!("certificate {position} in {CERTIFICATE}, an intermediate CA of ")
            }
            _ => String::new(),
        };
        let message = format!("{above}the device's certificate {fingerprint} (SHA-256 thumbprint) {words}");
        let failure = Failure::new(ConnectionReason::CredentialExpired, message);
        Err(CredentialFailure { failure, rule: Some(rule) })
    }

    /// Notes that the hub accepted it.
    pub(crate) fn accepted(&mut self, credential: &Credential) {
        self.selection.accepted(&credential.fingerprint);
        let newest = self.selection.is_newest(&credential.fingerprint);
        self.status.credential_accepted(&credential.fingerprint, newest);
    }

    /// Records a failure; returns whether to try another credential at once.
    pub(crate) fn record_failure(&mut self, credential: &Credential, failed: &CredentialFailure) -> bool {
        let Some(rule) = failed.rule else { return false };
        let (fingerprint, failure) = (&credential.fingerprint, &failed.failure);
        if failed.is_refusal() && self.selection.is_newest(fingerprint) {
            self.status.credential_refused(Some(Refused {
                fingerprint: fingerprint.clone(),
                since: self.environment.now(),
                message: failure.message.clone(),
            }));
        }
        let chance = self.environment.chance();
        let at_once = self.selection.pause(fingerprint, Instant::now(), rule, chance);
        if at_once {
            let (device, reason) = (self.status.name(), failure.reason.as_str());
            tracing::warn!(device, reason, %fingerprint, "the newest credential does not work yet; the device \
                continues with another: {}", failure.message);
        }
        at_once
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use lanyard_protocol::hub::key::SymmetricKey;

    use super::*;

    #[test]
    fn credential_that_tls_refuses_is_paused_as_by_dps() {
        let key = SymmetricKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let credential = Arc::new(Credential::of_key(key));
        let offered = vec![Arc::clone(&credential)];
        let credentials = Credentials { offered, problem: None, ca: None, ca_path: PathBuf::new() };
        let (_sender, watch) = watch::channel(Ok(Arc::new(credentials)));
        let (environment, hour) = (Environment::system(), Duration::from_secs(3600));
        let status = Arc::new(ConnectionStatus::new("d", "d", environment.now()).unwrap());
        let mut set = CredentialSet::new(status, Trust::new(None).unwrap(), watch, hour, environment);
        assert!(set.tls(&credential).is_ok());
        set.ca = Some(Arc::from(*b"no PEM"));
        let failed = set.tls(&credential).unwrap_err();
        assert_eq!(failed.failure.reason, ConnectionReason::CredentialsUnreadable);
        assert_eq!(failed.rule, Some(RetryRule::Dps));
    }
}
