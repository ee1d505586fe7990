//! How the program is called. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::credential::bounds::AZURE_ENDPOINTS;

/// From IoTDevices and ProvisioningGroups to credentials and agents.
#[derive(Debug, Parser)]
#[command(name = "lanyard-operator", version, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work until SIGTERM or SIGINT.
    Run(Run),
    /// Derive devices' keys from the key of their enrollment group, as dps-keygen does.
    DeriveKey(DeriveKey),
}

/// Settings of a derivation. The group's key is no argument: those can be read by everybody on the machine.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  lanyard-operator derive-key --device-id press-17 --group-key-file group.key
  kubectl get secret plant-a-group-key -o jsonpath='{.data.primaryKey}' | base64 -d | lanyard-operator derive-key --device-id press-17

With one --device-id the key alone is written, with several a line `id,key` for each. The id is taken letter by letter: Press-17 has another key than press-17.")]
pub struct DeriveKey {
    /// Id with which the device registers; may be repeated.
    #[arg(long = "device-id", value_name = "ID", required = true)]
    pub device_ids: Vec<String>,
    /// File that holds the group's primary or secondary key in base64; standard input unless it is given, or if it is -.
    #[arg(long, value_name = "FILE")]
    pub group_key_file: Option<PathBuf>,
}

/// Settings of a working operator.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Image of the agents.
    #[arg(long, env = "AGENT_IMAGE")]
    pub agent_image: String,
    /// When a node pulls the agents' image.
    #[arg(long, value_enum, default_value = "IfNotPresent")]
    pub agent_image_pull_policy: PullPolicy,
    /// Secrets, in the devices' own namespaces, for pulling the agents' image; may be repeated.
    #[arg(long = "agent-image-pull-secret", value_name = "SECRET")]
    pub agent_image_pull_secrets: Vec<String>,
    /// Whether agents' pods bear the annotations prometheus.io/scrape and prometheus.io/port. Turn them off where a PodMonitor
    /// finds the agents: with both, Prometheus scrapes each agent twice.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub agent_scrape_annotations: bool,
    /// Work in this namespace only; may be repeated. All namespaces unless it is given.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
    /// DPS host name to which tokens may be sent, such as dps.plant.local or *.azure-devices-provisioning.net; may be repeated.
    /// Azure's clouds unless it is given.
    #[arg(long = "dps-endpoint", value_name = "HOST", default_values = AZURE_ENDPOINTS)]
    pub dps_endpoints: Vec<String>,
    /// Use only Secrets that declare their use, by the label lanyard.dev/use or a type lanyard.dev/<use>.
    #[arg(long)]
    pub require_secret_use: bool,
    /// Where the Lease lies by which one of several operators is chosen.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,
    /// Who this operator is in the Lease and in events; host name unless it is given.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
    /// Where /metrics, /livez and /readyz are served.
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub http: SocketAddr,
    /// Form of the log.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,kube=debug.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub log_level: String,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line a message, for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// When a node pulls an image; the words of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never.
    Never,
}

impl PullPolicy {
    /// The word of Kubernetes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charts_way_to_call_it() {
        let line = "lanyard-operator run --agent-image=a:1 --agent-image-pull-policy=Never --log-format=json --log-level=info --agent-scrape-annotations=false --namespace=a --namespace=b";
        let Command::Run(run) = Arguments::try_parse_from(line.split(' ')).unwrap().command else {
            unreachable!()
        };
        assert_eq!((run.agent_image_pull_policy, run.log_format), (PullPolicy::Never, LogFormat::Json));
        assert!(!run.agent_scrape_annotations);
        assert_eq!(run.namespaces, ["a", "b"]);
        assert_eq!(run.http.to_string(), "0.0.0.0:8080");
        assert_eq!((run.dps_endpoints.len(), run.require_secret_use), (3, false));
        let line = format!("{line} --dps-endpoint=localhost --require-secret-use");
        let Command::Run(run) = Arguments::try_parse_from(line.split(' ')).unwrap().command else {
            unreachable!()
        };
        assert_eq!((run.dps_endpoints, run.require_secret_use), (vec!["localhost".to_owned()], true));
    }

    #[test]
    fn a_key_is_no_argument() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        let Ok(Arguments { command: Command::DeriveKey(derive) }) =
            parse("lanyard-operator derive-key --device-id a --device-id b --group-key-file -")
        else {
            unreachable!()
        };
        assert_eq!((derive.device_ids.len(), derive.group_key_file), (2, Some("-".into())));
        for line in ["derive-key --device-id a --group-key=AAEC", "derive-key --device-id a --group-key AAEC"]
        {
            let error = parse(&format!("lanyard-operator {line}")).unwrap_err().to_string();
            assert!(error.contains("--group-key-file") && !error.contains("AAEC"), "{error}");
        }
        assert!(parse("lanyard-operator derive-key").is_err());
    }
}
