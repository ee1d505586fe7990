//! All devices of the process: started, changed and ended as the handoff files say. Touches disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use lanyard_handoff::config::{AgentConfig, Device};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::buffer::store;
use crate::config::credentials;
use crate::config::document::Document;
use crate::config::watch::FileWatch;
use crate::devices::tasks::{CredentialsResult, DeviceTasks, ProcessResources};
use crate::mqtt::link::{DIALLING, MqttTransport};
use crate::mqtt::trust::Trust;
use crate::options::Options;
use crate::status::page::StatusPage;

/// Time for a removed or moved device to finish messages in flight.
const CHANGE_LIMIT: Duration = Duration::from_secs(5);

/// Error that ends the agent.
#[derive(Debug, thiserror::Error)]
pub enum DevicesError {
    /// Something that runs as long as the process ended before it.
    #[error("the tasks of device {0:?} ended without being asked to; this is a defect of the agent")]
    Ended(String),
    /// The library refuses a metric.
    #[error("failed to set up metrics: {0}")]
    Metrics(#[source] prometheus::Error),
}

/// All devices of the process.
pub struct Devices {
    config: PathBuf,
    document: Document,
    credentials: PathBuf,
    /// CA certificates of the device whose credentials were read last.
    ca: Option<Arc<[u8]>>,
    page: Arc<StatusPage>,
    shared: ProcessResources,
    ended: mpsc::UnboundedReceiver<String>,
    members: BTreeMap<String, DeviceTasks>,
    watch: FileWatch,
    /// Last reported error of the credentials directory.
    directory_problem: Option<String>,
}

impl Devices {
    /// Creates the set without devices. `document` is the one that the first configuration was read from.
    #[must_use]
    pub fn new(options: &Options, document: Document, trust: Trust, page: Arc<StatusPage>) -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        let buffers = store::SharedBuffers::default();
        if let Err(error) = page.registry().register(Box::new(buffers.syncer.delay())) {
            tracing::error!("the metric of the sync delay is missing: {error}");
        }
        let shared = ProcessResources {
            trust,
            token_lifetime: options.token_ttl.get(),
            keep_alive: options.keep_alive.get(),
            credential_retry: options.credential_retry.get(),
            transport: MqttTransport::new(DIALLING),
            buffer: options.buffer.clone(),
            buffers,
            ended: sender,
        };
        Self {
            config: options.config.clone(),
            document,
            credentials: options.credentials.clone(),
            ca: None,
            page,
            shared,
            ended,
            members: BTreeMap::new(),
            watch: FileWatch::new(),
            directory_problem: None,
        }
    }

    /// Runs the devices and follows the files until `stop`; then delivers what was read, within `limit`.
    ///
    /// # Errors
    /// [`DevicesError`] when something ends that must not.
    pub async fn run(
        mut self,
        config: AgentConfig,
        stop: CancellationToken,
        limit: Duration,
    ) -> Result<(), DevicesError> {
        self.look_at_directory();
        self.apply(config).await?;
        loop {
            self.watch_folders();
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.watch.changed() => self.reload().await?,
                name = self.ended.recv() => return Err(DevicesError::Ended(name.unwrap_or_default())),
            }
        }
        join_all(std::mem::take(&mut self.members).into_values().map(|member| member.stop(limit))).await;
        Ok(())
    }

    /// Logs once that the credentials directory cannot be read, without which no device can connect.
    fn look_at_directory(&mut self) {
        let problem = credentials::directory(&self.credentials).err().map(|error| error.to_string());
        match &problem {
            Some(problem) if self.directory_problem.as_ref() != Some(problem) => {
                tracing::error!("no device can connect until this is fixed: {problem}");
            }
            None if self.directory_problem.is_some() => tracing::info!("the credentials directory is back"),
            _ => {}
        }
        self.directory_problem = problem;
    }

    async fn reload(&mut self) -> Result<(), DevicesError> {
        self.look_at_directory();
        match self.document.load(&self.config) {
            Ok(None) => {}
            Ok(Some(config)) => {
                if self.page.set_problem(None) {
                    tracing::info!("the configuration is valid again");
                }
                self.apply(config).await?;
            }
            Err(error) => {
                if self.page.set_problem(Some(error.to_string())) {
                    tracing::error!("the new configuration is not used; the previous one stays in use");
                    error.lines().iter().for_each(|line| tracing::error!("{line}"));
                }
            }
        }
        for (name, member) in &self.members {
            member.set_credentials(load(&self.credentials, name, &mut self.ca));
        }
        Ok(())
    }

    /// Makes the devices those of the configuration. Every old connection has ended before a new one begins, so that
    /// an identity that moves from one name to another never has two.
    async fn apply(&mut self, config: AgentConfig) -> Result<(), DevicesError> {
        let devices: Vec<Arc<Device>> = config.devices.into_iter().map(Arc::new).collect();
        let stays = |name: &String| devices.iter().any(|device| device.name == *name);
        let gone: Vec<String> = self.members.keys().filter(|name| !stays(name)).cloned().collect();
        let gone: Vec<DeviceTasks> = gone.iter().filter_map(|name| self.members.remove(name)).collect();
        let moved = |member: &DeviceTasks| {
            let device = devices.iter().find(|device| device.name == member.state.name());
            device.is_some_and(|device| !member.is_same_client(device))
        };
        let ends = self.members.values_mut().filter(|member| moved(member));
        let disconnected = join_all(ends.map(|member| member.disconnect(CHANGE_LIMIT)));
        let collectors: Vec<_> = gone.iter().map(|member| member.collector.clone()).collect();
        futures::join!(disconnected, join_all(gone.into_iter().map(|member| member.stop(CHANGE_LIMIT))));
        for collector in collectors {
            self.page.remove(collector).map_err(DevicesError::Metrics)?;
        }
        for device in &devices {
            self.take(device)?;
        }
        self.page.list(
            devices.iter().filter_map(|d| Some(Arc::clone(&self.members.get(&d.name)?.state))).collect(),
        );
        Ok(())
    }

    fn take(&mut self, device: &Arc<Device>) -> Result<(), DevicesError> {
        if let Some(member) = self.members.get_mut(&device.name) {
            if member.is_same_client(device) {
                member.reconfigure(device);
            } else {
                member.reconnect(device);
            }
            return Ok(());
        }
        let credentials = load(&self.credentials, &device.name, &mut self.ca);
        let member = DeviceTasks::start(Arc::clone(device), credentials, self.shared.clone())
            .map_err(DevicesError::Metrics)?;
        self.page.add(member.collector.clone()).map_err(DevicesError::Metrics)?;
        self.members.insert(device.name.clone(), member);
        Ok(())
    }

    fn watch_folders(&mut self) {
        let config = match self.config.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let folders = self.members.keys().map(|name| self.credentials.join(name));
        let folders: Vec<PathBuf> = folders.chain([config, self.credentials.clone()]).collect();
        self.watch.set(folders);
    }
}

/// Reads a device's credentials. Most trust what the one before trusts, and share it.
fn load(credentials: &Path, device: &str, ca: &mut Option<Arc<[u8]>>) -> CredentialsResult {
    let mut read = credentials::load(credentials, device).map_err(Arc::new)?;
    if read.ca != *ca {
        ca.clone_from(&read.ca);
    }
    read.ca.clone_from(ca);
    Ok(Arc::new(read))
}
