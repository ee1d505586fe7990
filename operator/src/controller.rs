//! The operator at work: caches, queues and the two controllers, until the stop. Writes the cluster.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use kube::runtime::controller::{Action, Config, Error, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource};
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::agents::poller::{Agents, rounds};
use crate::backoff::Backoff;
use crate::credential::key_generator::KeyGenerator;
use crate::credential::rollover_queue::RolloverQueue;
use crate::device::apply::cache::Remembered;
use crate::device::plan::defaults::AgentDefaults;
use crate::kubernetes::error::ReconcileError;
use crate::kubernetes::key::Key;
use crate::kubernetes::queues::{Queues, debounce};
use crate::kubernetes::scope::Scope;
use crate::kubernetes::watch::{Listeners, follow};
use crate::kubernetes::written_status::WrittenStatuses;
use crate::metrics::Metrics;
use crate::overlap::YieldedNamespaces;
use crate::permit::Rules;
use crate::reader::Reads;
use crate::snapshot::View;
use crate::status_writer::{StatusWriter, write_events};
use crate::{device, group};

/// Maximum number of concurrent reconciliations of devices: each waits for the API server most of the time.
const DEVICES_AT_ONCE: u16 = 24;
/// Groups that are looked at at once.
const GROUPS_AT_ONCE: u16 = 4;

/// Parts of a running operator.
pub struct Controller {
    /// The API server.
    pub client: Client,
    /// Namespaces of the operator.
    pub scope: Scope,
    /// Settings for all agents.
    pub defaults: AgentDefaults,
    /// Rules of the administrator.
    pub rules: Arc<Rules>,
    /// Identity in events.
    pub identity: String,
    /// Its counters.
    pub metrics: Metrics,
    /// Namespaces of older installations.
    pub yielded: watch::Receiver<YieldedNamespaces>,
    /// Filled with the mirrors for those who ask.
    pub view: Arc<OnceLock<Arc<View>>>,
}

/// A task that should run for ever ended.
#[derive(Debug, thiserror::Error)]
#[error("a task of the operator ended unexpectedly; this is a defect of the operator")]
pub struct EndedEarly;

impl Controller {
    /// Works until `end`, then finishes the reconciliations in progress.
    ///
    /// # Errors
    /// [`EndedEarly`]
    pub async fn run(self, end: CancellationToken) -> Result<(), EndedEarly> {
        let mut tasks = JoinSet::new();
        let shown = Arc::clone(&self.view);
        let controllers = self.start(&mut tasks);
        let _ = shown.set(Arc::clone(&controllers.devices.view));
        tokio::select! {
            () = controllers.run(end) => Ok(()),
            _ = tasks.join_next() => Err(EndedEarly),
        }
    }

    /// Starts the caches, the poller and the writer of events.
    fn start(self, tasks: &mut JoinSet<()>) -> Controllers {
        let Self { client, scope, defaults, rules, identity, metrics, yielded, view: _ } = self;
        let (devices, device_queue) = unbounded();
        let (groups, group_queue) = unbounded();
        let (debounced, debounced_names) = unbounded();
        let queues = Queues { devices, groups, debounced };
        let (agents, moved) = Agents::new();
        let remembered: Arc<Remembered> = Arc::default();
        let (waker, waking) = (queues.clone(), queues.clone());
        let key_generator = KeyGenerator::new(move |device| waker.device(device));
        let turns: Arc<RolloverQueue> = Arc::default();
        let listeners = Listeners {
            key_generator: Arc::clone(&key_generator),
            turns: Arc::clone(&turns),
            queues: queues.clone(),
            agents: agents.clone(),
            remembered: Arc::clone(&remembered),
            metrics: metrics.clone(),
        };
        let view = follow(&client, &scope, &listeners, tasks);
        tasks.spawn(debounce(debounced_names, queues.clone()));
        tasks.spawn(rounds(agents.clone(), moved, queues, metrics.clone()));
        let (status_writer, events) = StatusWriter::new(client.clone(), metrics.clone());
        tasks.spawn(write_events(events, client.clone(), identity, metrics.clone()));
        let reads = Arc::new(Reads::new(client.clone()));
        let groups = group::context::GroupContext {
            client: client.clone(),
            remembered: Arc::clone(&remembered),
            refusals: Default::default(),
            paces: Default::default(),
            reads: Arc::clone(&reads),
            view: Arc::clone(&view),
            status_writer: status_writer.clone(),
            rules: Arc::clone(&rules),
            metrics: metrics.clone(),
            common_labels: defaults.common_labels.clone(),
            backoff: Backoff::default(),
            written_statuses: WrittenStatuses::default(),
        };
        let (backoff, written_statuses) = (Backoff::default(), WrittenStatuses::default());
        let devices = device::context::DeviceContext {
            client,
            reads,
            view,
            agents,
            remembered,
            key_generator,
            turns,
            status_writer,
            defaults,
            rules,
            metrics,
            backoff,
            written_statuses,
        };
        tasks.spawn(look_at_all(yielded.clone(), Arc::clone(&devices.view), waking));
        Controllers {
            devices: Arc::new(devices),
            device_queue,
            groups: Arc::new(groups),
            group_queue,
            yielded,
        }
    }
}

/// Both controllers, with their queues.
struct Controllers {
    devices: Arc<device::context::DeviceContext>,
    device_queue: UnboundedReceiver<ObjectRef<IoTDevice>>,
    groups: Arc<group::context::GroupContext>,
    group_queue: UnboundedReceiver<ObjectRef<ProvisioningGroup>>,
    yielded: watch::Receiver<YieldedNamespaces>,
}

/// Reconciles all objects when an older installation has ended.
async fn look_at_all(mut yielded: watch::Receiver<YieldedNamespaces>, view: Arc<View>, queues: Queues) {
    while yielded.changed().await.is_ok() {
        view.devices.state().iter().for_each(|device| queues.device(&Key::of(&**device)));
        view.groups.state().iter().for_each(|group| queues.group(&Key::of(&**group)));
    }
    // The sender was dropped: the operator ends.
    std::future::pending::<()>().await;
}

impl Controllers {
    async fn run(self, end: CancellationToken) {
        let Self { devices, device_queue, groups, group_queue, yielded } = self;
        let view = Arc::clone(&devices.view);
        tokio::select! {
            () = view.listed() => {}
            () = end.cancelled() => return,
        }
        tracing::info!(devices = view.devices.len(), groups = view.groups.len(), "working");
        let devices_done = control(
            view.devices.clone(),
            device_queue,
            Config::default().concurrency(DEVICES_AT_ONCE),
            end.clone(),
            &yielded,
            |device| device::reconcile::reconcile(device, Arc::clone(&devices)),
            |device, error| device::reconcile::after_error(&device, error, &devices),
        );
        let groups_done = control(
            view.groups.clone(),
            group_queue,
            Config::default().concurrency(GROUPS_AT_ONCE),
            end,
            &yielded,
            |group| group::reconcile::reconcile(group, Arc::clone(&groups)),
            |group, error| group::reconcile::after_error(&group, error, &groups),
        );
        futures::join!(devices_done, groups_done);
    }
}

/// Reconciles every object that the queue names and that no older installation handles, until `end`.
async fn control<K, F>(
    store: Store<K>,
    queue: UnboundedReceiver<ObjectRef<K>>,
    config: Config,
    end: CancellationToken,
    yielded: &watch::Receiver<YieldedNamespaces>,
    reconcile: impl Fn(Arc<K>) -> F,
    after_error: impl Fn(Arc<K>, &ReconcileError) -> Action,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    F: Future<Output = Result<Action, ReconcileError>>,
    ObjectRef<K>: Hash + Eq,
{
    let queue = queue.map(Ok::<_, Infallible>).take_until(end.cancelled_owned());
    let results = applier(
        |object, _: Arc<()>| {
            let skip = yielded.borrow().has(object.meta().namespace.as_deref());
            let reconciled = (!skip).then(|| reconcile(object));
            Box::pin(async move {
                match reconciled {
                    Some(result) => result.await,
                    None => Ok(Action::await_change()),
                }
            })
        },
        |object, error: &ReconcileError, _| after_error(object, error),
        Arc::new(()),
        store,
        queue,
        config,
    );
    results
        .for_each(|result| async {
            match result {
                // A deleted object needs no reconciliation; an error was logged where the wait was chosen.
                Ok(_) | Err(Error::ObjectNotFound(_) | Error::ReconcilerFailed(..)) => {}
                Err(error) => tracing::error!(%error, "a controller failed"),
            }
        })
        .await;
}
