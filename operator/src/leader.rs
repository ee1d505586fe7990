//! Election of the leader: the replica that holds the Lease. Writes to the cluster.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::clock;
use crate::kubernetes::scope::Scope;
use crate::overlap;
use crate::random;

/// The Lease and its times.
#[derive(Debug, Clone)]
pub struct LeaseSettings {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// A holder that does not renew for so long has lost it.
    pub duration: Duration,
    /// A holder gives up by itself when it could not renew for so long: before anybody else may take over.
    pub renew_deadline: Duration,
    /// Between two tries.
    pub retry_period: Duration,
    /// Namespaces of the operator, for other installations.
    pub scope: Scope,
}

impl LeaseSettings {
    /// Checks that a holder gives up before it may be replaced, and tries more than once before it gives up.
    ///
    /// # Errors
    /// The sentence for the user.
    pub fn check(&self) -> Result<(), String> {
        let Self { duration, renew_deadline, retry_period, .. } = self;
        if renew_deadline >= duration {
            return Err("--renew-deadline must be shorter than --lease-duration".to_owned());
        }
        if retry_period >= renew_deadline {
            return Err("--retry-period must be shorter than --renew-deadline".to_owned());
        }
        Ok(())
    }
}

/// Reason for which a leader must stop.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// Another replica holds the Lease.
    #[error("{0} holds the lease now")]
    Lost(String),
    /// The API server did not answer for too long.
    #[error("could not renew the lease for {} seconds", .0.as_secs())]
    NotRenewed(Duration, #[source] kube::Error),
}

/// A try to hold the Lease, again and again.
pub struct Election {
    api: Api<Lease>,
    settings: LeaseSettings,
    judge: LeaseJudge,
}

/// Decision about who holds the Lease. Pure.
struct LeaseJudge {
    identity: String,
    duration: Duration,
    seen: Option<(SeenLease, Instant)>,
}

/// Lease of another replica. The time since its last change is measured by this machine's clock, because clocks of
/// two machines differ.
#[derive(PartialEq, Eq)]
struct SeenLease {
    holder: String,
    renewed: Option<MicroTime>,
}

/// Result of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub enum Tried {
    /// The Lease is held.
    Held,
    /// Held by another replica.
    HeldBy(String),
}

/// Action for the current state of the Lease.
#[derive(Debug, PartialEq, Eq)]
enum LeaseStep {
    Create,
    Take,
    Renew,
    Leave(String),
}

impl Election {
    /// Returns a candidate that holds nothing yet.
    #[must_use]
    pub fn new(client: Client, settings: LeaseSettings, identity: String) -> Self {
        let judge = LeaseJudge { identity, duration: settings.duration, seen: None };
        Self { api: Api::namespaced(client, &settings.namespace), settings, judge }
    }

    /// Waits until the Lease is held; `standing_by` is called with the holder.
    pub async fn win(&mut self, mut standing_by: impl FnMut(&str)) {
        let mut logged = None;
        loop {
            match self.attempt().await {
                Ok(Tried::Held) => return,
                Ok(Tried::HeldBy(holder)) => {
                    if logged.as_ref() != Some(&holder) {
                        standing_by(&holder);
                        logged = Some(holder);
                    }
                }
                Err(error) => tracing::warn!(%error, "failed to acquire the lease; retrying"),
            }
            tokio::time::sleep(crate::backoff::spread_over(self.settings.retry_period, random::random()))
                .await;
        }
    }

    /// Renews for as long as that is possible.
    pub async fn keep(&mut self) -> LeaderError {
        let mut renewed = clock::instant();
        let LeaseSettings { renew_deadline, retry_period, .. } = self.settings;
        loop {
            tokio::time::sleep(retry_period).await;
            let attempt =
                tokio::time::timeout(renew_deadline.saturating_sub(renewed.elapsed()), self.attempt());
            match attempt.await {
                Ok(Ok(Tried::Held)) => renewed = clock::instant(),
                Ok(Ok(Tried::HeldBy(holder))) => return LeaderError::Lost(holder),
                Ok(Err(error)) if renewed.elapsed() + retry_period > renew_deadline => {
                    return LeaderError::NotRenewed(renew_deadline, error);
                }
                Ok(Err(error)) => tracing::warn!(%error, "failed to renew the lease; retrying"),
                Err(_) => {
                    let error = kube::Error::Service("no answer".into());
                    return LeaderError::NotRenewed(renew_deadline, error);
                }
            }
        }
    }

    /// Lets the Lease go, so that the next one need not wait until it runs out.
    pub async fn release(&mut self) {
        let released = async {
            let Some(mut lease) = self.api.get_opt(&self.settings.name).await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(self.judge.identity.as_str()) {
                spec.holder_identity = Some(String::new());
                self.api.replace(&self.settings.name, &PostParams::default(), &lease).await?;
            }
            Ok::<(), kube::Error>(())
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, "failed to release the lease; it expires by itself");
        }
    }

    async fn attempt(&mut self) -> Result<Tried, kube::Error> {
        let found = self.api.get_opt(&self.settings.name).await?;
        let before = found.clone();
        let turn = self.judge.turn(found.as_ref(), clock::instant());
        let lease = match turn {
            LeaseStep::Leave(holder) => return Ok(Tried::HeldBy(holder)),
            LeaseStep::Create => self.judge.held(Lease::default(), true),
            LeaseStep::Take => self.judge.held(found.unwrap_or_default(), true),
            LeaseStep::Renew => self.judge.held(found.unwrap_or_default(), false),
        };
        let mut lease = self.named(lease);
        overlap::declare(&mut lease, before.as_ref(), &self.settings.scope, clock::timestamp());
        let written = if lease.metadata.resource_version.is_none() {
            self.api.create(&PostParams::default(), &lease).await
        } else {
            self.api.replace(&self.settings.name, &PostParams::default(), &lease).await
        };
        match written {
            Ok(_) => Ok(Tried::Held),
            // Another replica was faster: the version or the name conflicts.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Ok(Tried::HeldBy("another operator".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    fn named(&self, mut lease: Lease) -> Lease {
        lease.metadata.name = Some(self.settings.name.clone());
        lease
    }
}

impl LeaseJudge {
    fn turn(&mut self, found: Option<&Lease>, now: Instant) -> LeaseStep {
        let Some(lease) = found else { return LeaseStep::Create };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        if holder == self.identity {
            return LeaseStep::Renew;
        }
        if holder.is_empty() {
            return LeaseStep::Take;
        }
        let seen = SeenLease { holder: holder.clone(), renewed: spec.renew_time };
        let since = match &self.seen {
            Some((before, since)) if *before == seen => *since,
            _ => {
                self.seen = Some((seen, now));
                now
            }
        };
        let held_for = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(self.duration, Duration::from_secs);
        if now.duration_since(since) > held_for { LeaseStep::Take } else { LeaseStep::Leave(holder) }
    }

    fn held(&self, mut lease: Lease, taken: bool) -> Lease {
        let now = MicroTime(clock::timestamp());
        let before = lease.spec.take().unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or_default();
        lease.metadata = ObjectMeta { managed_fields: None, ..lease.metadata };
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            acquire_time: if taken { Some(now.clone()) } else { before.acquire_time },
            renew_time: Some(now),
            lease_transitions: Some(if taken && lease.metadata.resource_version.is_some() {
                transitions.saturating_add(1)
            } else {
                transitions
            }),
            ..LeaseSpec::default()
        });
        lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn seen(holder: &str, renewed: i64) -> Lease {
        let renew_time = Some(MicroTime(Timestamp::from_second(renewed).unwrap()));
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time,
            ..LeaseSpec::default()
        };
        Lease { spec: Some(spec), ..Lease::default() }
    }

    fn judge() -> (LeaseJudge, Instant) {
        let duration = Duration::from_secs(15);
        (LeaseJudge { identity: "me".to_owned(), duration, seen: None }, Instant::now())
    }

    #[test]
    fn free_lease_is_taken_and_own_lease_renewed() {
        let (mut judge, now) = judge();
        assert_eq!(judge.turn(None, now), LeaseStep::Create);
        assert_eq!(judge.turn(Some(&seen("", 1)), now), LeaseStep::Take);
        assert_eq!(judge.turn(Some(&seen("me", 1)), now), LeaseStep::Renew);
    }

    /// However wrong the other machine's clock is: what counts is that its Lease does not change.
    #[test]
    fn lease_is_taken_only_after_its_whole_duration() {
        let (mut judge, start) = judge();
        let after = |seconds| start + Duration::from_secs(seconds);
        let leave = || LeaseStep::Leave("other".to_owned());
        assert_eq!(judge.turn(Some(&seen("other", 1)), start), leave());
        assert_eq!(judge.turn(Some(&seen("other", 1)), after(14)), leave());
        assert_eq!(judge.turn(Some(&seen("other", 2)), after(16)), leave());
        assert_eq!(judge.turn(Some(&seen("other", 2)), after(30)), leave());
        assert_eq!(judge.turn(Some(&seen("other", 2)), after(32)), LeaseStep::Take);
    }
}
