//! The command line. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use lanyard_handoff::interval::Interval;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// Name of the agent at hub and DPS.
pub const CLIENT: &str = concat!("lanyard-agent/", env!("CARGO_PKG_VERSION"));

/// Connects IoT devices to Azure IoT Hub and sends the values of their tags.
///
/// The configuration document names the devices, their hubs and their tags. The credentials directory has one folder for
/// each device, with the name of the device. The folder has the device's key in the file sharedAccessKey, or its
/// certificate in tls.crt with tls.key; and, if necessary, the CA certificates to trust in ca.crt. The agent watches both,
/// and applies changes while it runs.
#[derive(Debug, Clone, Parser)]
#[command(name = "lanyard-agent", version, after_help = AFTER_HELP)]
pub struct Options {
    /// Configuration document, as YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Folder with a folder of credentials for each device
    #[arg(long, value_name = "DIR")]
    pub credentials: PathBuf,
    /// Folder for data that must survive a restart; the agent creates it if it is missing
    #[arg(long, value_name = "DIR")]
    pub buffer: PathBuf,
    /// Address of /metrics, /livez, /readyz and /status; [::]:9090 listens on every address, IPv4 and IPv6
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", value_parser = address)]
    pub http: SocketAddr,
    /// PEM certificates that all devices trust besides the public roots and their own ca.crt
    #[arg(long, value_name = "FILE")]
    pub trusted_ca: Option<PathBuf>,
    /// Format of log lines on standard error
    #[arg(long, value_name = "FORMAT", default_value = "text", env = "LANYARD_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// Log level: error, warn, info, debug, trace, or a filter such as lanyard_agent=debug
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "RUST_LOG", value_parser = log_filter)]
    pub log_level: Targets,
    /// Lifetime of tokens
    #[arg(long, value_name = "TIME", default_value = "1h", env = "LANYARD_TOKEN_TTL", hide = true)]
    pub token_ttl: Interval,
    /// Silence after which the connection is tried with a ping
    #[arg(long, value_name = "TIME", default_value = "60s", env = "LANYARD_KEEP_ALIVE", hide = true)]
    pub keep_alive: Interval,
    /// Pause of a credential that the hub refused while the previous one works; with DPS, a sixtieth at first
    #[arg(long, value_name = "TIME", default_value = "1h", env = "LANYARD_CREDENTIAL_RETRY", hide = true)]
    pub credential_retry: Interval,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "use an IP address and a port, such as 127.0.0.1:9090".to_owned())
}

/// Checks a filter here, where a wrong one is an error of the command line.
fn log_filter(text: &str) -> Result<Targets, String> {
    // A misspelt level would be taken for the name of a module, and silence everything.
    let unknown =
        text.split(',').find(|part| !part.contains('=') && part.trim().parse::<LevelFilter>().is_err());
    if let Some(word) = unknown {
        return Err(format!("{word:?} is not a level; use error, warn, info, debug or trace"));
    }
    text.parse().map_err(|error| format!("{error}; use error, warn, info, debug or trace"))
}

const AFTER_HELP: &str = "\
Exit status: 0 after SIGTERM, SIGINT or SIGHUP, once the events are delivered or 8 seconds have passed; 1 after a second
signal, or if the agent cannot start or continue; 2 if the command line is wrong.";

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_valid() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    /// The pages name devices, hubs and their last errors: no network may read them unless it was asked for.
    #[test]
    fn m10_http_listens_on_loopback_by_default() {
        let paths = ["agent", "--config", "c", "--credentials", "d", "--buffer", "b"];
        let options = Options::parse_from(paths);
        assert!(options.http.ip().is_loopback(), "{}", options.http);
        let all = Options::parse_from(paths.into_iter().chain(["--http", "[::]:9090"]));
        assert!(all.http.is_ipv6() && all.http.ip().is_unspecified(), "{}", all.http);
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        assert!(log_filter("verbose").unwrap_err().contains("\"verbose\" is not a level"));
        for good in ["info", "off", "TRACE", "info,lanyard_agent=debug", "lanyard_agent=debug"] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
    }
}
