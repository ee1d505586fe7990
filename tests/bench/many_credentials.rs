//! Ten thousand devices without agents beside a thousand: how the operator's start, its restart and the repair of one Secret
//! grow, and the memory it takes. Writes the cluster, in namespaces of its own.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use lanyard_tests::agent::Metrics;
use lanyard_tests::authority::Authority;
use serde_json::json;

use crate::credentials::{self, Attestation, CredentialsCase, Scratch};
use crate::failure::Failure;
use crate::figure::Figure;
use crate::programs::Operator;
use crate::usage;

/// Figures of this file.
pub(crate) const NAMES: [&str; 4] = [
    "devices_10000_first_start",
    "devices_10000_restart",
    "devices_10000_changed_secret",
    "devices_10000_operator_memory",
];

/// Sizes of the group; the figures show how the second compares with the first.
const SIZES: [usize; 2] = [1000, 10_000];
/// Growth of a time that is no worse than linear, with room for noise.
const LINEAR: f64 = 12.0;
/// Growth of a time that does not depend on the number of devices, with room for noise.
const CONSTANT: f64 = 2.0;
/// Megabytes.
const GOAL_OF_MEMORY: f64 = 100.0;
/// Number of repairs; the figure is their median.
const REPAIRS: usize = 21;
const LIMIT: Duration = Duration::from_secs(300);

/// Times of one size, and memory in bytes.
struct OperatorTimes {
    first_start: Duration,
    restart: Duration,
    changed_secret: Duration,
    memory: u64,
}

/// Measures both sizes, where one of the figures is selected.
pub(crate) async fn measure(
    client: &Client,
    selected: &dyn Fn(&str) -> bool,
    figures: &mut Vec<Figure>,
) -> Result<(), Failure> {
    if !NAMES.into_iter().any(selected) {
        return Ok(());
    }
    println!("measuring {}", NAMES.join(", "));
    let small = of_size(client, SIZES[0]).await?;
    let large = of_size(client, SIZES[1]).await?;
    let beside = |name, of: &dyn Fn(&OperatorTimes) -> Duration, goal| {
        Figure::beside(name, of(&large).as_secs_f64(), "s", of(&small).as_secs_f64(), goal)
    };
    figures.extend([
        beside(NAMES[0], &|taken| taken.first_start, LINEAR),
        beside(NAMES[1], &|taken| taken.restart, LINEAR),
        beside(NAMES[2], &|taken| taken.changed_secret, CONSTANT),
        Figure::size(NAMES[3], large.memory as f64 / 1_000_000.0, "MB", GOAL_OF_MEMORY),
    ]);
    Ok(())
}

async fn of_size(client: &Client, devices: usize) -> Result<OperatorTimes, Failure> {
    let case = CredentialsCase { name: "", devices, attestation: Attestation::SymmetricKey, agents: false };
    let namespace = Scratch::create(client, "bench-many").await?;
    let operator = Operator::start()?;
    let first_start =
        credentials::by_operator(client, &namespace.name, case, &Authority::root("bench")).await?;
    drop(operator);

    let started = Instant::now();
    let operator = Operator::start()?;
    while reconciled(&operator)? < devices as f64 {
        if started.elapsed() > LIMIT {
            return Err("the restarted operator has not reconciled all devices in five minutes".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let restart = started.elapsed();
    let changed_secret = repair(client, &namespace.name).await?;
    let memory = usage::resident(operator.process.id())?;
    println!(
        "  {devices} devices: {:.1} s, {:.1} s after a restart, {:.1} ms for a changed Secret, {} MB",
        first_start.as_secs_f64(),
        restart.as_secs_f64(),
        changed_secret.as_secs_f64() * 1000.0,
        memory / 1_000_000
    );
    drop(operator);
    namespace.delete(client).await?;
    Ok(OperatorTimes { first_start, restart, changed_secret, memory })
}

fn reconciled(operator: &Operator) -> Result<f64, Failure> {
    let text = lanyard_tests::http::get(operator.http, "/metrics")?.body;
    let series = r#"lanyard_operator_reconciles_total{kind="IoTDevice",result="success"}"#;
    Ok(Metrics(text).get(series).unwrap_or_default())
}

/// Removes the device id from a device's Secret, and waits until the operator has put it back.
async fn repair(client: &Client, namespace: &str) -> Result<Duration, Failure> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut times = Vec::with_capacity(REPAIRS);
    for number in 0..REPAIRS {
        let name = format!("{}-credentials", credentials::device_name(number));
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut seen = pin!(watcher(secrets.clone(), config).applied_objects());
        let whole = |secret: &Secret| secret.data.as_ref().is_some_and(|data| data.contains_key("deviceId"));
        while !seen.try_next().await?.is_some_and(|secret| whole(&secret)) {}
        let started = Instant::now();
        let broken = Patch::Merge(json!({"data": {"deviceId": null}}));
        let version = secrets.patch(&name, &PatchParams::default(), &broken).await?.resource_version();
        let restored = async {
            while let Some(secret) = seen.try_next().await? {
                if whole(&secret) && secret.resource_version() != version {
                    break;
                }
            }
            Ok::<_, Failure>(started.elapsed())
        };
        times.push(tokio::time::timeout(LIMIT, restored).await??);
    }
    times.sort();
    Ok(times[times.len() / 2])
}
