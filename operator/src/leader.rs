//! Who of several operators works: the one that holds the Lease. Writes the cluster.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

/// Name of the Lease.
pub const LEASE: &str = "lanyard-operator";
/// A holder that does not renew for so long has lost it.
const HELD_FOR: Duration = Duration::from_secs(15);
/// A holder gives up by itself when it could not renew for so long: before anybody else may take over.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
/// Between two tries.
const EVERY: Duration = Duration::from_secs(3);

/// Why an operator may not work any more.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// Somebody else holds the Lease.
    #[error("{0} holds the lease now")]
    Lost(String),
    /// The API server did not answer for too long.
    #[error("could not renew the lease for {} seconds", GIVE_UP_AFTER.as_secs())]
    NotRenewed(#[source] kube::Error),
}

/// A try to hold the Lease, again and again.
pub struct Election {
    api: Api<Lease>,
    judge: Judge,
}

/// Decides whose turn it is; touches nothing.
struct Judge {
    identity: String,
    seen: Option<(Seen, Instant)>,
}

/// What somebody else's Lease looks like. Since when is told by this machine's clock: clocks of two machines differ.
#[derive(PartialEq, Eq)]
struct Seen {
    holder: String,
    renewed: Option<MicroTime>,
}

/// What became of a try.
#[derive(Debug, PartialEq, Eq)]
pub enum Tried {
    /// The Lease is held.
    Held,
    /// By somebody else.
    HeldBy(String),
}

/// What to do with the Lease as it is.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Create,
    Take,
    Renew,
    Leave(String),
}

impl Election {
    /// Nobody holds anything yet.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self { api: Api::namespaced(client, namespace), judge: Judge { identity, seen: None } }
    }

    /// Waits until the Lease is held; `standing_by` hears who holds it.
    pub async fn win(&mut self, mut standing_by: impl FnMut(&str)) {
        let mut said = None;
        loop {
            match self.attempt().await {
                Ok(Tried::Held) => return,
                Ok(Tried::HeldBy(holder)) => {
                    if said.as_ref() != Some(&holder) {
                        standing_by(&holder);
                        said = Some(holder);
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot take the lease, trying again"),
            }
            tokio::time::sleep(crate::backoff::spread_over(EVERY, rand::random())).await;
        }
    }

    /// Renews for as long as that is possible.
    pub async fn keep(&mut self) -> LeaderError {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(EVERY).await;
            let attempt =
                tokio::time::timeout(GIVE_UP_AFTER.saturating_sub(renewed.elapsed()), self.attempt());
            match attempt.await {
                Ok(Ok(Tried::Held)) => renewed = Instant::now(),
                Ok(Ok(Tried::HeldBy(holder))) => return LeaderError::Lost(holder),
                Ok(Err(error)) if renewed.elapsed() + EVERY > GIVE_UP_AFTER => {
                    return LeaderError::NotRenewed(error);
                }
                Ok(Err(error)) => tracing::warn!(%error, "cannot renew the lease, trying again"),
                Err(_) => return LeaderError::NotRenewed(kube::Error::Service("no answer".into())),
            }
        }
    }

    /// Lets the Lease go, so that the next one need not wait until it runs out.
    pub async fn release(&mut self) {
        let released = async {
            let Some(mut lease) = self.api.get_opt(LEASE).await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(self.judge.identity.as_str()) {
                spec.holder_identity = Some(String::new());
                self.api.replace(LEASE, &PostParams::default(), &lease).await?;
            }
            Ok::<(), kube::Error>(())
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, "cannot release the lease; it runs out by itself");
        }
    }

    async fn attempt(&mut self) -> Result<Tried, kube::Error> {
        let found = self.api.get_opt(LEASE).await?;
        let turn = self.judge.turn(found.as_ref(), Instant::now());
        let lease = match turn {
            Turn::Leave(holder) => return Ok(Tried::HeldBy(holder)),
            Turn::Create => self.judge.held(Lease::default(), true),
            Turn::Take => self.judge.held(found.unwrap_or_default(), true),
            Turn::Renew => self.judge.held(found.unwrap_or_default(), false),
        };
        let written = if lease.metadata.resource_version.is_none() {
            self.api.create(&PostParams::default(), &lease).await
        } else {
            self.api.replace(LEASE, &PostParams::default(), &lease).await
        };
        match written {
            Ok(_) => Ok(Tried::Held),
            // Somebody else was faster; the version or the name gave it away.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Ok(Tried::HeldBy("another operator".to_owned()))
            }
            Err(error) => Err(error),
        }
    }
}

impl Judge {
    fn turn(&mut self, found: Option<&Lease>, now: Instant) -> Turn {
        let Some(lease) = found else { return Turn::Create };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        if holder == self.identity {
            return Turn::Renew;
        }
        if holder.is_empty() {
            return Turn::Take;
        }
        let seen = Seen { holder: holder.clone(), renewed: spec.renew_time };
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
            .map_or(HELD_FOR, Duration::from_secs);
        if now.duration_since(since) > held_for { Turn::Take } else { Turn::Leave(holder) }
    }

    fn held(&self, mut lease: Lease, taken: bool) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = lease.spec.take().unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or_default();
        lease.metadata = ObjectMeta { name: Some(LEASE.to_owned()), managed_fields: None, ..lease.metadata };
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(HELD_FOR.as_secs()).ok(),
            acquire_time: if taken { Some(now.clone()) } else { before.acquire_time },
            renew_time: Some(now),
            lease_transitions: Some(if taken && lease.metadata.resource_version.is_some() {
                transitions + 1
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

    fn judge() -> (Judge, Instant) {
        (Judge { identity: "me".to_owned(), seen: None }, Instant::now())
    }

    #[test]
    fn a_lease_of_nobody_is_taken_and_ones_own_renewed() {
        let (mut judge, now) = judge();
        assert_eq!(judge.turn(None, now), Turn::Create);
        assert_eq!(judge.turn(Some(&seen("", 1)), now), Turn::Take);
        assert_eq!(judge.turn(Some(&seen("me", 1)), now), Turn::Renew);
    }

    /// However wrong the other machine's clock is: what counts is that its Lease does not change.
    #[test]
    fn a_lease_is_taken_only_when_it_has_not_changed_for_its_whole_time() {
        let (mut judge, start) = judge();
        let after = |seconds| start + Duration::from_secs(seconds);
        let leave = || Turn::Leave("other".to_owned());
        assert_eq!(judge.turn(Some(&seen("other", 1)), start), leave());
        assert_eq!(judge.turn(Some(&seen("other", 1)), after(14)), leave());
        assert_eq!(judge.turn(Some(&seen("other", 2)), after(16)), leave());
        assert_eq!(judge.turn(Some(&seen("other", 2)), after(30)), leave());
        assert_eq!(judge.turn(Some(&seen("other", 2)), after(32)), Turn::Take);
    }
}
