//! Writer of statuses and events. Writes to the cluster.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::kubernetes::event::UserEvent;
use crate::kubernetes::labels::FIELD_MANAGER;
use crate::metrics::Metrics;

/// Longest note of an event that Kubernetes takes.
const MAX_NOTE: usize = 1024;

/// Events that wait to be written; more are dropped, because the conditions say it too.
const MAX_WAITING: usize = 2000;

/// Event, and the object that it is about.
pub type ObjectEvent = (ObjectReference, UserEvent);

/// Writer of statuses, which leaves events to [`write_events`].
#[derive(Clone)]
pub struct StatusWriter {
    client: Client,
    events: Sender<ObjectEvent>,
    metrics: Metrics,
}

impl StatusWriter {
    /// Creates a writer; the second part is for [`write_events`].
    #[must_use]
    pub fn new(client: Client, metrics: Metrics) -> (Self, Receiver<ObjectEvent>) {
        let (events, received) = channel(MAX_WAITING);
        (Self { client, events, metrics }, received)
    }

    /// Writes an object's status; returns whether the object was still there.
    ///
    /// # Errors
    /// An error of the API server.
    pub async fn status<K, S>(&self, object: &K, status: &S) -> Result<bool, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        S: Serialize + Debug,
    {
        let body = serde_json::json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // With the uid, so that a namesake made in between does not get what was meant for its predecessor.
            "metadata": {"name": object.name_any(), "uid": object.uid()},
            "status": status,
        });
        let api: Api<K> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let how = PatchParams::apply(FIELD_MANAGER).force();
        self.metrics.wrote(&K::kind(&()), "status");
        match api.patch_status(&object.name_any(), &how, &Patch::Apply(body)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(error)) if error.code == 404 || error.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Queues an event to be written; the caller does not wait.
    pub fn event<K: Resource<DynamicType = ()>>(&self, object: &K, happened: UserEvent) {
        // The version would make every repetition an event of its own.
        let regarding = ObjectReference { resource_version: None, ..object.object_ref(&()) };
        if self.events.try_send((regarding, happened)).is_err() {
            tracing::debug!("dropped an event: too many wait");
        }
    }
}

/// Writes events one after the other. A lost event does no harm: the conditions contain the same.
pub async fn write_events(
    mut received: Receiver<ObjectEvent>,
    client: Client,
    identity: String,
    metrics: Metrics,
) {
    let reporter = Reporter { controller: "lanyard.dev/operator".to_owned(), instance: Some(identity) };
    let recorder = Recorder::new(client, reporter);
    while let Some((regarding, happened)) = received.recv().await {
        let UserEvent { warning, reason, action, mut message } = happened;
        message.truncate(message.floor_char_boundary(MAX_NOTE));
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.as_str().to_owned(),
            note: Some(message),
            action: action.to_owned(),
            secondary: None,
        };
        metrics.wrote("Event", "create");
        if let Err(error) = recorder.publish(&event, &regarding).await {
            tracing::debug!(%error, "cannot publish an event");
        }
    }
}
