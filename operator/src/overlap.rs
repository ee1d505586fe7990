//! Precedence of two installations with a shared namespace: the older one works on it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;

use crate::kubernetes::scope::Scope;

/// On the Leases of operators, so that they can be listed.
pub const LABEL: (&str, &str) = ("lanyard.dev/lease", "operator");
/// On such a Lease: the namespaces of the installation, or `*`.
pub const NAMESPACES: &str = "lanyard.dev/namespaces";
/// On such a Lease: since when the installation works without a break.
pub const SINCE: &str = "lanyard.dev/since";
/// Number of durations without a renewal of the Lease after which an installation has ended; a rollout takes less.
const DURATIONS: u32 = 4;
/// The duration of a Lease that does not say one.
const DURATION: i32 = 15;

/// An installation, read from its Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Namespace and name of its Lease.
    pub lease: String,
    /// Namespaces of the installation.
    pub scope: Scope,
    /// Since when.
    pub since: Timestamp,
}

/// Namespaces of older installations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct YieldedNamespaces {
    /// Everything.
    pub everything: bool,
    /// These namespaces.
    pub namespaces: BTreeSet<String>,
    /// The Leases of the older installations.
    pub to: BTreeSet<String>,
}

impl YieldedNamespaces {
    /// Returns whether an older installation works on this namespace.
    #[must_use]
    pub fn has(&self, namespace: Option<&str>) -> bool {
        self.everything || namespace.is_some_and(|namespace| self.namespaces.contains(namespace))
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everything && self.namespaces.is_empty()
    }

    /// Returns the message for people.
    #[must_use]
    pub fn words(&self) -> String {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let (what, verb) = match (self.everything, self.namespaces.len()) {
            (true, _) => ("every namespace".to_owned(), "belongs"),
            (false, 1) => (format!("namespace {}", list(&self.namespaces)), "belongs"),
            (false, _) => (format!("namespaces {}", list(&self.namespaces)), "belong"),
        };
        format!(
            "{what} {verb} to an older installation of Lanyard (Lease {}): uninstall one of them, or give them \
                different operator.watchNamespaces",
            list(&self.to)
        )
    }
}

/// Returns the installation that holds a Lease, unless it has ended.
#[must_use]
pub fn installation(lease: &Lease, now: Timestamp) -> Option<Installation> {
    let annotations = lease.annotations();
    let spec = lease.spec.as_ref()?;
    let duration = spec.lease_duration_seconds.filter(|seconds| *seconds > 0).unwrap_or(DURATION);
    let stays = Duration::from_secs(duration.unsigned_abs().into()) * DURATIONS;
    let renewed = spec.renew_time.as_ref()?.0;
    if renewed.saturating_add(stays).ok()? < now {
        return None;
    }
    let names = annotations.get(NAMESPACES)?;
    let scope = match names.as_str() {
        "*" => Scope::Everywhere,
        names => Scope::new(names.split(',').map(str::to_owned).collect()),
    };
    Some(Installation {
        lease: format!("{}/{}", lease.namespace().unwrap_or_default(), lease.name_any()),
        scope,
        since: annotations.get(SINCE)?.parse().ok()?,
    })
}

/// Adds to a Lease that is about to be written what other installations need to know. An installation that was away for
/// longer than a rollout takes begins again as the youngest.
pub fn declare(lease: &mut Lease, before: Option<&Lease>, scope: &Scope, now: Timestamp) {
    let since = before.and_then(|before| installation(before, now)).map_or(now, |known| known.since);
    let labels: &mut BTreeMap<String, String> = lease.labels_mut();
    labels.insert(LABEL.0.to_owned(), LABEL.1.to_owned());
    let annotations = lease.annotations_mut();
    annotations.insert(NAMESPACES.to_owned(), text(scope));
    annotations.insert(SINCE.to_owned(), since.to_string());
}

fn text(scope: &Scope) -> String {
    match scope {
        Scope::Everywhere => "*".to_owned(),
        Scope::Namespaces(names) => names.join(","),
    }
}

/// Returns the namespaces of older installations. If two have the same age, the name of the Lease decides.
#[must_use]
pub fn yielded(own: &Installation, others: &[Installation]) -> YieldedNamespaces {
    let mut yielded = YieldedNamespaces::default();
    let older = others
        .iter()
        .filter(|other| other.lease != own.lease && (other.since, &other.lease) < (own.since, &own.lease));
    for other in older {
        let shared: BTreeSet<String> = match (&own.scope, &other.scope) {
            (Scope::Everywhere, Scope::Everywhere) => {
                yielded.everything = true;
                yielded.to.insert(other.lease.clone());
                continue;
            }
            (Scope::Everywhere, Scope::Namespaces(names)) | (Scope::Namespaces(names), Scope::Everywhere) => {
                names.iter().cloned().collect()
            }
            (Scope::Namespaces(own), Scope::Namespaces(names)) => {
                own.iter().filter(|name| names.contains(name)).cloned().collect()
            }
        };
        if !shared.is_empty() {
            yielded.namespaces.extend(shared);
            yielded.to.insert(other.lease.clone());
        }
    }
    yielded
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn scope(names: &[&str]) -> Scope {
        Scope::new(names.iter().map(|&name| name.to_owned()).collect())
    }

    fn works(lease: &str, names: &[&str], since: i64) -> Installation {
        Installation { lease: lease.to_owned(), scope: scope(names), since: at(since) }
    }

    #[test]
    fn c9_younger_installation_leaves_shared_namespaces() {
        let left = |own: &[&str], other: &[&str]| {
            let left = yielded(&works("b/l", own, 5), &[works("a/l", other, 1)]);
            (left.everything, left.namespaces.into_iter().collect::<Vec<_>>().join(","))
        };
        assert_eq!(left(&[], &[]), (true, String::new()));
        assert_eq!(left(&[], &["x"]), (false, "x".to_owned()));
        assert_eq!(left(&["x", "y"], &[]), (false, "x,y".to_owned()));
        assert_eq!(left(&["x", "y"], &["y", "z"]), (false, "y".to_owned()));
        assert_eq!(left(&["x"], &["y"]), (false, String::new()));
        // The older one leaves nothing, and never anything to itself.
        assert!(yielded(&works("a/l", &[], 1), &[works("b/l", &[], 5), works("a/l", &[], 0)]).is_empty());
        assert!(!yielded(&works("b/l", &[], 1), &[works("a/l", &[], 1)]).is_empty());
    }

    #[test]
    fn c9_words_name_namespaces_lease_and_fix() {
        let words = yielded(&works("b/l", &["x"], 5), &[works("a/l", &[], 1)]).words();
        let expected = "namespace x belongs to an older installation of Lanyard (Lease a/l): uninstall one of them, \
            or give them different operator.watchNamespaces";
        assert_eq!(words, expected);
    }

    #[test]
    fn c9_age_survives_rollouts_and_ends_with_absence() {
        let mut lease = Lease {
            metadata: ObjectMeta {
                name: Some("l".to_owned()),
                namespace: Some("a".to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                lease_duration_seconds: Some(15),
                renew_time: Some(MicroTime(at(0))),
                ..LeaseSpec::default()
            }),
        };
        assert_eq!(installation(&lease, at(0)), None, "a Lease of another program");
        declare(&mut lease, None, &scope(&["x", "y"]), at(0));
        assert_eq!(installation(&lease, at(60)), Some(works("a/l", &["x", "y"], 0)));
        assert_eq!(installation(&lease, at(61)), None);
        for (now, since) in [(50, 0), (100, 100)] {
            let mut next = lease.clone();
            declare(&mut next, Some(&lease), &Scope::Everywhere, at(now));
            next.spec.as_mut().unwrap().renew_time = Some(MicroTime(at(now)));
            assert_eq!(installation(&next, at(now)), Some(works("a/l", &[], since)));
        }
    }
}
