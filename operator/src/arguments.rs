//! How the program is called. Pure.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Work in this namespace only; may be repeated. All namespaces unless it is given.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
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
        let line = "lanyard-operator run --agent-image=a:1 --agent-image-pull-policy=Never --log-format=json --log-level=info --namespace=a --namespace=b";
        let Command::Run(run) = Arguments::try_parse_from(line.split(' ')).unwrap().command;
        assert_eq!((run.agent_image_pull_policy, run.log_format), (PullPolicy::Never, LogFormat::Json));
        assert_eq!(run.namespaces, ["a", "b"]);
        assert_eq!(run.http.to_string(), "0.0.0.0:8080");
    }
}
