//! Runs the scripts in `python/` and `node/`, which do the same thing, and reads the lines of JSON they print.

use std::process::Command;
use std::time::Duration;

use lanyard_tests::process::{Process, eventually};
use serde_json::Value;

use crate::install;

/// Time for a script: Python waits ten seconds between attempts to connect.
const LIMIT: Duration = Duration::from_secs(90);

/// Language of the SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sdk {
    Python,
    Node,
}

/// A running script.
pub(crate) struct Script(Process);

impl Script {
    /// Starts `name` with its arguments.
    pub(crate) fn start(sdk: Sdk, name: &str, arguments: &Value) -> Self {
        let mut command = match sdk {
            Sdk::Python => {
                let mut command = Command::new(install::python());
                command.arg("-B").arg(install::source().join("python").join(format!("{name}.py")));
                command
            }
            Sdk::Node => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", install::node_modules());
                // The DPS client has no option for a CA.
                command.env("NODE_EXTRA_CA_CERTS", arguments["ca"].as_str().unwrap());
                command.arg(install::source().join("node").join(format!("{name}.js")));
                command
            }
        };
        command.env("LANYARD_SDK", arguments.to_string());
        Self(Process::spawn(&format!("{name} ({sdk:?})"), command))
    }

    /// Waits until it says `{"ready": true}`.
    pub(crate) fn wait_until_ready(&mut self) {
        eventually("the script is ready", LIMIT, || {
            assert!(self.0.ended().is_none(), "the script ended: {}", self.0.log());
            self.answers().iter().any(|answer| answer["ready"] == true).then_some(())
        });
    }

    /// Waits until it ended well, and gives the last thing it said.
    pub(crate) fn finish(mut self) -> Value {
        let status = self.0.wait(LIMIT);
        assert!(status.success(), "the script failed: {}", self.0.log());
        eventually("the script's answer", LIMIT, || self.answers().pop())
    }

    fn answers(&self) -> Vec<Value> {
        self.0
            .log()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(Value::is_object)
            .collect()
    }
}

/// Runs `name` to its end.
pub(crate) fn run(sdk: Sdk, name: &str, arguments: &Value) -> Value {
    Script::start(sdk, name, arguments).finish()
}
