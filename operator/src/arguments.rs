//! Command line of the operator. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use lanyard_crds::agent::Agent;

use crate::credential::bounds::AZURE_ENDPOINTS;

/// Creates credentials and agents for IoTDevices and ProvisioningGroups.
#[derive(Debug, Parser)]
#[command(name = "lanyard-operator", version, arg_required_else_help = true)]
pub struct Arguments {
    /// Command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Command to run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator until SIGTERM or SIGINT.
    Run(Box<Run>),
    /// Derive devices' keys from the key of their enrollment group, as dps-keygen does.
    DeriveKey(DeriveKey),
    /// Check that the CRDs are installed and that the operator has every permission; print what is missing.
    Check(Check),
    /// Keep the CA of an emulator in a Secret, and publish its certificate in ConfigMaps; ends when it is done.
    EmulatorCa(EmulatorCa),
}

/// Settings of a check.
#[derive(Debug, Clone, Args)]
pub struct Check {
    /// A namespace in which the operator works; may be repeated. All namespaces unless it is given.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
    /// Namespace of the operator's Lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,
    /// Name of the operator's Lease.
    #[arg(long, value_name = "NAME", default_value = "lanyard-operator")]
    pub lease_name: String,
    /// Allows the operator to list the Leases of other installations.
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    pub see_other_installations: bool,
}

/// Options of the emulator's CA.
#[derive(Debug, Clone, Args)]
pub struct EmulatorCa {
    /// Directory in which ca.crt and ca.key are written for the emulator.
    #[arg(long, value_name = "DIR")]
    pub directory: PathBuf,
    /// Namespace of the Secret.
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: String,
    /// Secret that stores the CA. An empty Secret gets a new CA.
    #[arg(long, value_name = "SECRET", required_unless_present = "existing_secret")]
    pub secret: Option<String>,
    /// Secret with an existing CA, which is never written: ca.crt and ca.key, or tls.crt and tls.key.
    #[arg(long, value_name = "SECRET", conflicts_with = "secret")]
    pub existing_secret: Option<String>,
    /// Domain for which a new CA may sign, with its subdomains; may be repeated.
    #[arg(long = "permitted-domain", value_name = "DOMAIN", default_values = ["svc", "svc.cluster.local", "localhost"])]
    pub permitted_domains: Vec<String>,
    /// Name of the ConfigMaps that get the certificate.
    #[arg(long, value_name = "NAME")]
    pub config_map: String,
    /// Namespace in which to create the ConfigMap; may be repeated.
    #[arg(long = "trust-namespace", value_name = "NAMESPACE")]
    pub trust_namespaces: Vec<String>,
}

/// Settings of a derivation. The group's key is not an argument: every user of the machine can read arguments.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  lanyard-operator derive-key --device-id press-17 --group-key-file group.key
  kubectl get secret plant-a-group-key -o jsonpath='{.data.primaryKey}' | base64 -d | lanyard-operator derive-key --device-id press-17

With one --device-id the key alone is written,
    with several a line `id,key` for each. Ids are case-sensitive: the keys of Press-17 and press-17 differ.")]
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
    /// Pull policy of the agents' image.
    #[arg(long, value_enum, default_value = "IfNotPresent")]
    pub agent_image_pull_policy: PullPolicy,
    /// Secrets, in the devices' own namespaces, for pulling the agents' image; may be repeated.
    #[arg(long = "agent-image-pull-secret", value_name = "SECRET")]
    pub agent_image_pull_secrets: Vec<String>,
    /// Fields of spec.agent, in JSON, for devices that do not set them.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = agent_defaults)]
    pub agent_defaults: Agent,
    /// Adds the annotations prometheus.io/scrape and prometheus.io/port to agent pods. Disable them if a PodMonitor
    /// discovers the agents: with both, Prometheus scrapes each agent twice.
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    pub agent_scrape_annotations: bool,
    /// Label of every object that the operator makes; may be repeated.
    #[arg(long = "common-label", value_name = "NAME=VALUE", value_parser = label)]
    pub common_labels: Vec<(String, String)>,
    /// Lets the platform choose the user of a pod, as OpenShift does; auto asks the API server for
    /// security.openshift.io.
    #[arg(long, value_enum, default_value = "auto")]
    pub openshift: Openshift,
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
    /// Namespace of the Lease by which one of several operators becomes the leader.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,
    /// Name of the Lease. Operators of one installation share it.
    #[arg(long, value_name = "NAME", default_value = "lanyard-operator")]
    pub lease_name: String,
    /// A leader that has not renewed its Lease for so many seconds may be replaced.
    #[arg(long, value_name = "SECONDS", default_value = "15s", value_parser = seconds)]
    pub lease_duration: Duration,
    /// A leader that could not renew for so many seconds ends itself; shorter than --lease-duration.
    #[arg(long, value_name = "SECONDS", default_value = "10s", value_parser = seconds)]
    pub renew_deadline: Duration,
    /// Seconds between two attempts; shorter than --renew-deadline.
    #[arg(long, value_name = "SECONDS", default_value = "3s", value_parser = seconds)]
    pub retry_period: Duration,
    /// Identity of this operator in the Lease and in events. The default is the host name.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
    /// Address of /metrics, /livez and /readyz.
    #[arg(long, default_value = "[::]:8080")]
    pub http: SocketAddr,
    /// Form of the log.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Log level: error, warn, info, debug, trace, or a filter such as info,kube=debug.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub log_level: String,
}

/// Reads fields of `spec.agent`, and refuses unknown ones: objects from a later version may have them, a command line
/// may not.
fn agent_defaults(text: &str) -> Result<Agent, String> {
    let wrong = |error: serde_json::Error| format!("{error}; use the fields of spec.agent, in JSON");
    let given: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(wrong)?;
    let agent: Agent = serde_json::from_value(given.clone().into()).map_err(wrong)?;
    let known = serde_json::to_value(&agent).map_err(wrong)?;
    match given.keys().find(|name| known.get(name.as_str()).is_none()) {
        Some(name) => Err(format!("spec.agent has no field {name:?}")),
        None => Ok(agent),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("use NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text).parse::<u32>().ok().filter(|number| *number > 0);
    number
        .map(|number| Duration::from_secs(number.into()))
        .ok_or_else(|| "use a number of seconds, such as 15s".to_owned())
}

/// Choice of a pod's user by the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Openshift {
    /// Enabled if the API server has the kinds of `OpenShift`.
    Auto,
    /// Enabled.
    True,
    /// Disabled.
    False,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line a message, for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Pull policy of an image, with the values of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// Pulls an image that the node does not have.
    IfNotPresent,
    /// Never.
    Never,
}

impl PullPolicy {
    /// Returns the name that Kubernetes uses.
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
    fn charts_command_line_is_accepted() {
        let line = "lanyard-operator run --agent-image=a:1 --agent-image-pull-policy=Never --log-format=json \
            --log-level=info --agent-scrape-annotations=false --namespace=a --namespace=b";
        let Command::Run(run) = Arguments::try_parse_from(line.split(' ')).unwrap().command else {
            unreachable!()
        };
        assert_eq!((run.agent_image_pull_policy, run.log_format), (PullPolicy::Never, LogFormat::Json));
        assert!(!run.agent_scrape_annotations);
        assert_eq!(run.namespaces, ["a", "b"]);
        assert_eq!(run.http.to_string(), "[::]:8080");
        assert_eq!((run.dps_endpoints.len(), run.require_secret_use), (3, false));
        let line = format!("{line} --dps-endpoint=localhost --require-secret-use");
        let Command::Run(run) = Arguments::try_parse_from(line.split(' ')).unwrap().command else {
            unreachable!()
        };
        assert_eq!((run.dps_endpoints, run.require_secret_use), (vec!["localhost".to_owned()], true));
    }

    #[test]
    fn structured_settings_are_checked_on_the_command_line() {
        let parse =
            |more: &str| Arguments::try_parse_from(["lanyard-operator", "run", "--agent-image=a:1", more]);
        let run = |more: &str| match parse(more).unwrap().command {
            Command::Run(run) => run,
            _ => unreachable!(),
        };
        let defaults =
            run(r#"--agent-defaults={"nodeSelector":{"zone":"1"},"env":[{"name":"TZ","value":"UTC"}]}"#)
                .agent_defaults;
        assert_eq!(defaults.node_selector.unwrap()["zone"], "1");
        assert_eq!(defaults.env.unwrap()[0].name, "TZ");
        assert_eq!(run("--common-label=team=a=b").common_labels, [("team".to_owned(), "a=b".to_owned())]);
        assert_eq!(run("--lease-duration=60s").lease_duration, Duration::from_secs(60));
        for wrong in [
            r#"--agent-defaults={"nodeSelektor":{}}"#,
            "--agent-defaults=a",
            "--common-label=x",
            "--retry-period=0s",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn key_is_not_accepted_as_an_argument() {
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
