//! Alternatives to the agent: Telegraf and Microsoft's SDKs, each a real program that sends tag changes to the same
//! emulator over TLS with QoS 1. They store nothing on disk and read generated values only, which is less than the
//! agent does. Runs programs; builds and installs them once.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_protocol::hub::sas::{SasToken, device_resource};
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{Process, eventually};
use lanyard_tests::scratch::Scratch;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::figure::Figure;
use crate::peer_files::{HUB, folder};
use crate::plant::{KEY, Load, Plant, WARM_UP, device_name, emulator_metric, hub};
use crate::{install, telegraf, usage};

/// Time of measuring one program.
const TIME: Duration = Duration::from_secs(8);
/// Ratio to the agent's rate for each core.
const GOAL: f64 = 10.0;
/// As the throughput of one device is measured.
const LOAD: Load<'static> =
    Load { devices: 1, tags: 3000, scan: "10ms", telemetry: "format: Narrow, interval: 100ms", buffer: "" };

/// Other program, and its use.
#[derive(Debug, Clone, Copy)]
enum Peer {
    /// As its inputs of machines deliver: a metric for each change.
    Telegraf,
    /// A metric for all tags of a machine at one moment.
    TelegrafWide,
    Python(Messages),
    Node(Messages),
}

/// Use of an SDK by an application.
#[derive(Debug, Clone, Copy)]
struct Messages {
    events: usize,
    in_flight: usize,
}

/// As the SDKs' samples do it, but not one after the other.
const ONE_EACH: Messages = Messages { events: 1, in_flight: 100 };
/// Batches, as an application with many events would send.
const BATCHED: Messages = Messages { events: 1000, in_flight: 32 };

const CASES: [(&str, Peer); 6] = [
    ("narrow_to_telegraf", Peer::Telegraf),
    ("narrow_to_telegraf_wide", Peer::TelegrafWide),
    ("narrow_to_python_one_each", Peer::Python(ONE_EACH)),
    ("narrow_to_python_batched", Peer::Python(BATCHED)),
    ("narrow_to_node_one_each", Peer::Node(ONE_EACH)),
    ("narrow_to_node_batched", Peer::Node(BATCHED)),
];

/// Returns the names of all figures of this file.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|(name, _)| *name)
}

/// Measures those that are selected, the agent once for all of them.
pub(crate) fn measure(selected: &dyn Fn(&str) -> bool, figures: &mut Vec<Figure>) -> Result<(), Failure> {
    if !names().any(selected) {
        return Ok(());
    }
    println!("measuring the agent beside its peers");
    let agent = Plant::start(&LOAD)?.measure(WARM_UP, TIME)?.per_core();
    for (name, peer) in CASES.into_iter().filter(|(name, _)| selected(name)) {
        println!("measuring {name}");
        figures.push(Figure::over(name, agent, "/s", per_core(peer)?, GOAL));
    }
    Ok(())
}

/// Measures the changes that the emulator acknowledged for each second of the peer's CPU time.
fn per_core(peer: Peer) -> Result<f64, Failure> {
    let files = Scratch::new("peer");
    // What is to be built or installed is not measured.
    let program = program(peer)?;
    let emulator = Emulator::start_at(&hub(HUB, 1), &format!("{HUB}:8883"));
    let mut peer = Process::spawn(&format!("{peer:?}"), program(&emulator, &files)?);
    eventually("the peer sends", Duration::from_secs(60), || {
        assert!(peer.ended().is_none(), "the peer ended: {}", peer.log());
        (emulator_metric(&emulator, "messages_total").ok()? > 0).then_some(())
    });
    std::thread::sleep(WARM_UP);
    let look = || {
        let messages = emulator_metric(&emulator, "messages_total")?;
        Ok::<_, Failure>((Instant::now(), usage::cpu_time(peer.id())?, messages))
    };
    let (before, after) = (look()?, {
        std::thread::sleep(TIME);
        look()?
    });
    let (time, cpu) = (after.0 - before.0, after.1 - before.1);
    let size = events_a_message(&emulator)?;
    let events = (after.2 - before.2) as f64 * size;
    println!(
        "  {:.0} changes a second in messages of {size:.0}, {:.2} cores",
        events / time.as_secs_f64(),
        cpu.div_duration_f64(time)
    );
    Ok(events / cpu.as_secs_f64())
}

/// Returns the average number of events in a message, over the messages that the emulator has kept.
fn events_a_message(emulator: &Emulator) -> Result<f64, Failure> {
    let messages = emulator.events(Some(&device_name(0)));
    let events: usize = messages.iter().map(|message| events_in(&message["body"])).sum();
    if events == 0 {
        return Err(format!("there are no changes in what a peer sent: {:?}", messages.last()).into());
    }
    Ok(events as f64 / messages.len() as f64)
}

/// Counts the events in a body of the agent's Narrow format, or of Telegraf's JSON, in which every number is a change.
fn events_in(body: &Value) -> usize {
    let list = |of: &Value| of.as_array().map_or(0, Vec::len);
    let numbers = |metric: &Value| {
        metric["fields"]
            .as_object()
            .map_or(0, |fields| fields.values().filter(|value| value.is_number()).count())
    };
    list(&body["values"]) + body["metrics"].as_array().map_or(0, |metrics| metrics.iter().map(numbers).sum())
}

/// Function that starts a program for an emulator.
type Start = Box<dyn Fn(&Emulator, &Scratch) -> Result<Command, Failure>>;

fn program(peer: Peer) -> Result<Start, Failure> {
    Ok(match peer {
        Peer::Telegraf | Peer::TelegrafWide => {
            let binary = telegraf::build()?;
            Box::new(move |emulator, files| {
                let inputs = if matches!(peer, Peer::Telegraf) { telegraf::NARROW } else { telegraf::WIDE };
                let config = telegraf::config(inputs, &token()?, &emulator.ca_file());
                let mut command = Command::new(&binary);
                command.arg(files.write("telegraf.conf", &config));
                Ok(command)
            })
        }
        Peer::Python(messages) => {
            let python = install::python();
            Box::new(move |emulator, _| {
                let mut command = Command::new(&python);
                command.arg("-B").arg(folder().join("python/send.py"));
                Ok(with_arguments(command, emulator, messages))
            })
        }
        Peer::Node(messages) => {
            let modules = install::node_modules();
            Box::new(move |emulator, _| {
                let mut command = Command::new("node");
                command.env("NODE_PATH", &modules).arg(folder().join("node/send.js"));
                Ok(with_arguments(command, emulator, messages))
            })
        }
    })
}

fn with_arguments(mut command: Command, emulator: &Emulator, messages: Messages) -> Command {
    let arguments = json!({
        "connectionString": format!("HostName={HUB};DeviceId={};SharedAccessKey={KEY}", device_name(0)),
        "ca": emulator.ca_file(),
        "tags": LOAD.tags,
        "eventsPerMessage": messages.events,
        "inFlight": messages.in_flight,
    });
    command.env("LANYARD_PEER", arguments.to_string());
    command
}

fn token() -> Result<SasToken, Failure> {
    let in_an_hour = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 3600;
    Ok(SasToken::sign(
        &SymmetricKey::from_base64(KEY)?,
        &device_resource(HUB, &device_name(0)),
        in_an_hour,
        None,
    ))
}
