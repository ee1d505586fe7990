//! Watches for older installations whose namespaces overlap with this one's. Reads the cluster, and writes events.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource};
use tokio::sync::watch;

use crate::clock;
use crate::overlap::{LABEL, YieldedNamespaces, installation, yielded};
use crate::random;
use crate::reason::Reason;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);

/// Looks for older installations.
pub struct Installations {
    client: Client,
    namespace: String,
    lease: String,
    recorder: Recorder,
    yielded: watch::Sender<YieldedNamespaces>,
    forbidden: bool,
}

impl Installations {
    /// Creates a watcher of older installations. The second part of the result receives their namespaces.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        lease: &str,
        identity: &str,
    ) -> (Self, watch::Receiver<YieldedNamespaces>) {
        let reporter =
            Reporter { controller: "lanyard.dev/operator".to_owned(), instance: Some(identity.to_owned()) };
        let recorder = Recorder::new(client.clone(), reporter);
        let (yielded, receiver) = watch::channel(YieldedNamespaces::default());
        let (namespace, lease) = (namespace.to_owned(), lease.to_owned());
        (Self { client, namespace, lease, recorder, yielded, forbidden: false }, receiver)
    }

    /// Looks until the API server has answered once. Nothing may be worked on before.
    pub async fn first(&mut self) {
        while !self.look().await {
            tokio::time::sleep(crate::backoff::spread_over(Duration::from_secs(1), random::random())).await;
        }
    }

    /// Looks again and again.
    pub async fn keep(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.look().await;
        }
    }

    /// Looks once; returns whether there was an answer.
    async fn look(&mut self) -> bool {
        let label = format!("{}={}", LABEL.0, LABEL.1);
        let listed = Api::<Lease>::all(self.client.clone()).list(&ListParams::default().labels(&label)).await;
        let leases = match listed {
            Ok(leases) => leases.items,
            Err(kube::Error::Api(status)) if status.code == 403 => {
                if !std::mem::replace(&mut self.forbidden, true) {
                    tracing::warn!(
                        "no permission to list Leases, so other installations are not detected: set rbac.seeOtherInstallations"
                    );
                }
                return true;
            }
            Err(error) => {
                tracing::warn!(%error, "failed to list the Leases of other installations; retrying");
                return false;
            }
        };
        let now = clock::timestamp();
        let all: Vec<_> = leases.iter().filter_map(|lease| installation(lease, now)).collect();
        let name = format!("{}/{}", self.namespace, self.lease);
        let Some(own) = all.iter().find(|one| one.lease == name) else {
            return true;
        };
        let found = yielded(own, &all);
        if *self.yielded.borrow() != found {
            self.tell(&leases, &found).await;
            self.yielded.send_replace(found);
        }
        true
    }

    async fn tell(&self, leases: &[Lease], found: &YieldedNamespaces) {
        if found.is_empty() {
            tracing::info!("no other installation works on these namespaces any more; this one starts");
            return;
        }
        tracing::error!("{}", found.words());
        let own = leases.iter().find(|lease| {
            lease.metadata.namespace.as_deref() == Some(&self.namespace)
                && lease.metadata.name.as_deref() == Some(&self.lease)
        });
        let Some(own) = own else { return };
        let event = Event {
            type_: EventType::Warning,
            reason: Reason::OverlappingInstallation.as_str().to_owned(),
            note: Some(found.words()),
            action: "Yield".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &own.object_ref(&())).await {
            tracing::warn!(%error, "failed to publish the event");
        }
    }
}
