//! The agent's configuration document.

use std::time::Duration;

use lanyard_agent::tags::sampling::Sampling;
use lanyard_handoff::config::AgentConfig;
use lanyard_handoff::parse::ConfigError;

/// Reads a document: a valid one is equal after it was written and read again, an invalid one has problems with messages
/// and positions.
///
/// # Panics
/// If this is not so.
pub fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match AgentConfig::parse(text) {
        Ok(config) => {
            let again = AgentConfig::parse(&config.to_text());
            assert!(again.is_ok_and(|again| again == config), "it is another one when it is read again");
            let mut sampling = Sampling::new(1);
            for device in &config.devices {
                let _ = sampling.reconfigure(device, Duration::ZERO);
            }
        }
        Err(ConfigError::Invalid(problems)) => {
            assert!(!problems.is_empty(), "it is refused without a reason");
            // YAML's lines end with LF, CRLF or CR.
            let lines = text.split(['\n', '\r']).count();
            for problem in problems {
                assert!(!problem.message.is_empty());
                assert!(
                    problem.position.is_none_or(|place| (1..=lines).contains(&(place.line as usize))),
                    "{problem:?}"
                );
            }
        }
        Err(ConfigError::Newer { .. } | ConfigError::UnknownVersion { .. }) => {}
    }
}
