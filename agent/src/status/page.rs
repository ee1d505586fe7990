//! Status of all devices, for HTTP.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

use lanyard_handoff::status::{AgentStatus, VERSION};
use prometheus::{IntGauge, Registry};

use crate::status::collector::DeviceCollector;
use crate::status::device::DeviceState;

/// Status of all devices.
pub struct StatusPage {
    registry: Registry,
    configuration_problem: IntGauge,
    known: Mutex<PageContent>,
}

#[derive(Default)]
struct PageContent {
    devices: Vec<Arc<DeviceState>>,
    problem: Option<String>,
}

impl StatusPage {
    /// Creates a page without devices over a registry.
    ///
    /// # Errors
    /// When the registry has Lanyard's metrics already.
    pub fn new(registry: Registry) -> prometheus::Result<Self> {
        let configuration_problem = IntGauge::new(
            "lanyard_configuration_problem",
            "1 while the newest configuration document cannot be used and the one before it is in use.",
        )?;
        registry.register(Box::new(configuration_problem.clone()))?;
        Ok(Self { registry, configuration_problem, known: Mutex::default() })
    }

    fn known(&self) -> MutexGuard<'_, PageContent> {
        self.known.lock()
    }

    /// Returns the registry of all metrics.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn add(&self, collector: DeviceCollector) -> prometheus::Result<()> {
        self.registry.register(Box::new(collector))
    }

    pub(crate) fn remove(&self, collector: DeviceCollector) -> prometheus::Result<()> {
        self.registry.unregister(Box::new(collector))
    }

    /// Sets the devices, in the configuration's order.
    pub(crate) fn list(&self, devices: Vec<Arc<DeviceState>>) {
        self.known().devices = devices;
    }

    /// Sets the error of the newest configuration; returns whether it changed.
    pub(crate) fn set_problem(&self, problem: Option<String>) -> bool {
        self.configuration_problem.set(i64::from(problem.is_some()));
        let mut known = self.known();
        let news = known.problem != problem;
        known.problem = problem;
        news
    }

    /// Returns the status of the agent.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        let (devices, configuration_problem) = {
            let known = self.known();
            (known.devices.clone(), known.problem.clone())
        };
        AgentStatus {
            version: VERSION,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            configuration_problem,
            devices: devices.iter().map(|device| device.status()).collect(),
        }
    }
}
