//! A mirror of one kind of objects: watches them in one or more namespaces and keeps what is worth keeping. Reads the cluster.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{StreamExt, stream::select_all};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

/// One object came, changed or went.
pub struct Change<'a, K> {
    /// Its name, version and owners.
    pub meta: &'a ObjectMeta,
    /// Cached object before the change.
    pub before: Option<Arc<K>>,
    /// Cached object after the change.
    pub now: Option<Arc<K>>,
    /// True if the object was deleted.
    pub gone: bool,
}

/// A mirror that is being filled.
pub struct Mirror<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    writer: Writer<K>,
    store: Store<K>,
    waiting: HashSet<Option<String>>,
    filled: watch::Sender<bool>,
}

/// True after a store was filled once. `Store::wait_until_ready` supports one waiter only.
pub type Filled = watch::Receiver<bool>;

impl<K> Mirror<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    /// Creates an empty mirror with its store. [`Filled`] becomes true when every namespace has been listed once.
    #[must_use]
    pub fn new() -> (Store<K>, Filled, Self) {
        let mut writer = Writer::default();
        let store = writer.as_reader();
        // A controller waits for a store that is ready. Readiness is `filled` here, the sum of all namespaces; a whole
        // listing at its end would hold every object twice.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        let (filled, is_filled) = watch::channel(false);
        (store.clone(), is_filled, Self { writer, store, waiting: HashSet::new(), filled })
    }

    /// Watches without end. `keep` returns the part of an object to keep; `changed` is called for every change, kept or not.
    pub async fn follow<W>(
        mut self,
        apis: Vec<(Option<String>, Api<W>)>,
        config: watcher::Config,
        keep: impl Fn(W) -> Option<K>,
        mut changed: impl FnMut(Change<'_, K>),
    ) where
        W: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        self.waiting = apis.iter().map(|(namespace, _)| namespace.clone()).collect();
        let many = apis.len() > 1;
        let streams = apis.into_iter().map(|(namespace, api)| {
            let stream = watcher(api, config.clone()).default_backoff();
            stream.map(move |event| (namespace.clone(), event)).boxed()
        });
        let mut events = select_all(streams);
        let mut listings = std::collections::HashMap::new();
        while let Some((namespace, event)) = events.next().await {
            match event {
                Ok(Event::Init) => {
                    listings.insert(namespace, HashSet::new());
                }
                Ok(Event::InitApply(object)) => {
                    if let Some(seen) = listings.get_mut(&namespace) {
                        seen.insert(reference::<K>(object.meta()));
                    }
                    self.put(object, &keep, &mut changed);
                }
                Ok(Event::Apply(object)) => self.put(object, &keep, &mut changed),
                Ok(Event::Delete(object)) => self.take(object.meta(), &mut changed),
                Ok(Event::InitDone) => {
                    if let Some(seen) = listings.remove(&namespace) {
                        self.listed(&namespace, &seen, &mut changed);
                    }
                }
                Err(error) => {
                    warn_of::<W>(&error);
                    // One namespace of many that was deleted, or lost its Role, must not stop the others.
                    if many && is_refusal(&error) {
                        self.answered(&namespace);
                    }
                }
            }
        }
    }

    fn put<W: Resource<DynamicType = ()>>(
        &mut self,
        object: W,
        keep: &impl Fn(W) -> Option<K>,
        changed: &mut impl FnMut(Change<'_, K>),
    ) {
        let meta = object.meta().clone();
        let before = self.store.get(&reference::<K>(&meta));
        let now = keep(object);
        match (&before, &now) {
            (_, Some(kept)) => self.writer.apply_watcher_event(&Event::Apply(kept.clone())),
            (Some(old), None) => self.writer.apply_watcher_event(&Event::Delete(K::clone(old))),
            (None, None) => {}
        }
        let now = now.and_then(|kept| self.store.get(&reference::<K>(kept.meta())));
        changed(Change { meta: &meta, before, now, gone: false });
    }

    fn take(&mut self, meta: &ObjectMeta, changed: &mut impl FnMut(Change<'_, K>)) {
        let before = self.store.get(&reference::<K>(meta));
        if let Some(old) = &before {
            self.writer.apply_watcher_event(&Event::Delete(K::clone(old)));
        }
        changed(Change { meta, before, now: None, gone: true });
    }

    /// Handles the end of a namespace's listing: cached objects that were not listed are deleted.
    fn listed(
        &mut self,
        namespace: &Option<String>,
        seen: &HashSet<ObjectRef<K>>,
        changed: &mut impl FnMut(Change<'_, K>),
    ) {
        let within = |object: &K| namespace.is_none() || object.meta().namespace == *namespace;
        for object in self.store.state() {
            if within(&object) && !seen.contains(&reference::<K>(object.meta())) {
                self.take(object.meta(), changed);
            }
        }
        self.answered(namespace);
    }

    /// Records that a namespace was listed for the first time, or cannot be.
    fn answered(&mut self, namespace: &Option<String>) {
        self.waiting.remove(namespace);
        if self.waiting.is_empty() && !*self.filled.borrow() {
            self.filled.send_replace(true);
        }
    }
}

/// Returns the key of an object in a store.
#[must_use]
pub fn reference<K: Resource<DynamicType = ()>>(meta: &ObjectMeta) -> ObjectRef<K> {
    let name = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
    match &meta.namespace {
        Some(namespace) => name.within(namespace),
        None => name,
    }
}

/// Drops what costs memory and is never read.
pub fn prune(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

fn is_refusal(error: &watcher::Error) -> bool {
    let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error else { return false };
    status.code == 403
}

fn warn_of<W: Resource<DynamicType = ()>>(error: &watcher::Error) {
    let kind = W::kind(&());
    tracing::warn!(%kind, %error, "watch failed; retrying");
}
