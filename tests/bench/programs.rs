//! The programs under measurement, as child processes on loopback.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use lanyard_tests::emulator::Emulator;
use lanyard_tests::http;
use lanyard_tests::installation::repository;
use lanyard_tests::process::{Process, binary, eventually};
use lanyard_tests::scratch::Scratch;

use crate::credentials::Failure;

/// An operator on the cluster of `KUBECONFIG`; it ends with its scope.
pub(crate) struct Operator {
    pub(crate) process: Process,
}

impl Operator {
    /// Starts it and waits until it leads.
    pub(crate) fn start() -> Result<Self, Failure> {
        let http = free_address()?;
        let mut command = Command::new(binary("lanyard-operator"));
        command.args([
            "run",
            "--agent-image=localhost/none:bench",
            "--log-level=warn",
            &format!("--http={http}"),
        ]);
        let process = Process::spawn("lanyard-operator", command);
        eventually("the operator is ready", Duration::from_secs(60), || {
            http::get(http, "/readyz").ok().filter(|answer| answer.status == 200)
        });
        Ok(Self { process })
    }
}

/// An agent with the device `idle`; it ends with its scope.
pub(crate) struct Agent {
    pub(crate) process: Process,
    _files: Scratch,
}

impl Agent {
    /// Starts it.
    pub(crate) fn start(emulator: &Emulator) -> Result<Self, Failure> {
        let files = Scratch::new("bench-agent");
        let config = format!(
            "version: 1\ndevices: [{{name: idle, deviceId: idle, hub: {{hostname: 'localhost:{}'}}, sources: [{{name: sim, simulator: {{}}}}], tags: [{{name: K, source: sim, address: K0001}}]}}]\n",
            emulator.mqtt.port()
        );
        let config = files.write("agent.yaml", &config);
        files.write("credentials/idle/sharedAccessKey", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        files.write("credentials/idle/ca.crt", &emulator.ca());
        let mut command = Command::new(binary("lanyard-agent"));
        command.arg("--config").arg(config).arg("--credentials").arg(files.path().join("credentials"));
        command
            .arg("--buffer")
            .arg(files.path().join("buffer"))
            .arg("--http")
            .arg(free_address()?.to_string());
        Ok(Self { process: Process::spawn("lanyard-agent", command), _files: files })
    }
}

/// The kinds, as the repository has them.
pub(crate) async fn install_crds(client: &Client) -> Result<(), Failure> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for file in std::fs::read_dir(repository().join("crds/manifests"))? {
        let crd: CustomResourceDefinition = serde_saphyr::from_str(&std::fs::read_to_string(file?.path())?)?;
        api.patch(&crd.name_any(), &PatchParams::apply("lanyard-bench").force(), &Patch::Apply(&crd)).await?;
        let what = format!("{} is served", crd.name_any());
        let mut established = false;
        for _ in 0..100 {
            let seen = api.get(&crd.name_any()).await?;
            let conditions = seen.status.and_then(|status| status.conditions).unwrap_or_default();
            established = conditions.iter().any(|c| c.type_ == "Established" && c.status == "True");
            if established {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if !established {
            return Err(format!("{what}: not within 10 s").into());
        }
    }
    Ok(())
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
