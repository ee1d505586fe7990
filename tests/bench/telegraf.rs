//! Telegraf: its own agent, its MQTT output with batches and its mock input, built at the version that peers/telegraf names.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use lanyard_protocol::hub::sas::SasToken;

use crate::failure::Failure;
use crate::peer_files::{HUB, folder};
use crate::plant::device_name;

/// Inputs that are read every 10 ms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs {
    plugins: usize,
    fields: usize,
    /// Metrics in a message, which is to stay below a hub's 256 KB.
    batch: usize,
}

/// Each value with its own name, quality and time, as Telegraf's OPC UA input has it: 40,000 changes a second.
pub(crate) const NARROW: Inputs = Inputs { plugins: 400, fields: 1, batch: 2000 };
/// A hundred values that share a time and have no quality, as its Modbus input has it: 200,000 changes a second.
pub(crate) const WIDE: Inputs = Inputs { plugins: 20, fields: 100, batch: 100 };

/// Builds it and says where it is. Go itself knows what is to be done.
pub(crate) fn build() -> Result<PathBuf, Failure> {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/telegraf");
    if !binary.is_file() {
        println!("  building Telegraf (some minutes the first time)");
    }
    let mut go = Command::new("go");
    go.current_dir(folder().join("telegraf")).env("CGO_ENABLED", "0");
    let built =
        go.args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-o"]).arg(&binary).output();
    let built = built.map_err(|error| format!("Go is needed to build Telegraf: {error}"))?;
    if built.status.success() {
        return Ok(binary);
    }
    Err(format!("building Telegraf failed: {}", String::from_utf8_lossy(&built.stderr)).into())
}

/// Returns the text of Telegraf's configuration file.
pub(crate) fn config(inputs: Inputs, token: &SasToken, ca: &Path) -> String {
    let (batch, device) = (inputs.batch, device_name(0));
    let mut text = format!(
        r#"
[agent]
  omit_hostname = true
  round_interval = false
  precision = "1ms"
  flush_interval = "1h"
  metric_batch_size = {batch}
  metric_buffer_limit = {limit}
[[outputs.mqtt]]
  servers = ["mqtts://{HUB}:8883"]
  topic = "devices/{device}/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8"
  qos = 1
  layout = "batch"
  client_id = "{device}"
  username = "{HUB}/{device}/?api-version=2021-04-12"
  password = "{password}"
  tls_ca = "{ca}"
  data_format = "json"
  json_timestamp_units = "1ms"
"#,
        limit = 100 * batch,
        password = token.expose(),
        ca = ca.display(),
    );
    for plugin in 0..inputs.plugins {
        text += "[[inputs.mock]]\n  interval = \"10ms\"\n  metric_name = \"tag\"\n";
        for field in 0..inputs.fields {
            let name = if inputs.fields == 1 { "v".to_owned() } else { format!("Tag{field:05}") };
            let written = writeln!(
                text,
                "  [[inputs.mock.step]]\n    name = \"{name}\"\n    start = 0.0\n    step = 1.0"
            );
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        if inputs.fields == 1 {
            text += "  [[inputs.mock.constant]]\n    name = \"q\"\n    value = true\n";
        }
        let written = writeln!(text, "  [inputs.mock.tags]\n    id = \"Channel1.Device1.Tag{plugin:05}\"");
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    text
}
