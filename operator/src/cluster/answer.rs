//! What the operator answers users: status of their objects, and events. Writes the cluster.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::device::apply::FIELD_MANAGER;
use crate::device::report::Happened;
use crate::metrics::Metrics;

/// Longest note of an event that Kubernetes takes.
const MAX_NOTE: usize = 1024;

/// Writes status and events.
#[derive(Clone)]
pub struct Answers {
    client: Client,
    recorder: Recorder,
    metrics: Metrics,
}

impl Answers {
    /// `identity` stands in events as the instance that reports.
    #[must_use]
    pub fn new(client: Client, identity: String, metrics: Metrics) -> Self {
        let reporter = Reporter { controller: "lanyard.dev/operator".to_owned(), instance: Some(identity) };
        Self { recorder: Recorder::new(client.clone(), reporter), client, metrics }
    }

    /// Writes an object's status; says whether the object was still there.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn status<K, S>(&self, object: &K, status: &S) -> Result<bool, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        S: Serialize + Debug,
    {
        let body = serde_json::json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // With the uid, so that a namesake made in between is not told what was meant for its predecessor.
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

    /// Publishes an event. One that is lost harms nobody: the conditions say it too.
    pub async fn event<K: Resource<DynamicType = ()>>(&self, object: &K, happened: Happened) {
        let Happened { warning, reason, action, mut message } = happened;
        message.truncate(message.floor_char_boundary(MAX_NOTE));
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason,
            note: Some(message),
            action: action.to_owned(),
            secondary: None,
        };
        self.metrics.wrote("Event", "create");
        // The version would make every repetition an event of its own.
        let regarding = ObjectReference { resource_version: None, ..object.object_ref(&()) };
        if let Err(error) = self.recorder.publish(&event, &regarding).await {
            tracing::debug!(%error, "cannot publish an event");
        }
    }
}
