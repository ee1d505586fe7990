//! Settings for all agents, from the command line; `spec.agent` of a device overrides them. Pure.

use std::collections::BTreeMap;

use lanyard_crds::agent::Agent;
use lanyard_crds::refer::SecretReference;

use crate::arguments::PullPolicy;

/// Settings for all agents.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentDefaults {
    /// The image.
    pub image: String,
    /// Pull policy of the image.
    pub pull_policy: PullPolicy,
    /// Secrets for pulling it, in every device's namespace.
    pub pull_secrets: Vec<String>,
    /// Fields of `spec.agent` for devices that do not say them.
    pub agent: Agent,
    /// Labels of every pod, besides those of the objects around it.
    pub common_labels: BTreeMap<String, String>,
    /// True if pods set their user. OpenShift assigns one and refuses any other.
    pub name_user: bool,
    /// True if pods have the annotations by which Prometheus discovers them without a PodMonitor.
    pub scrape_annotations: bool,
}

impl AgentDefaults {
    /// Creates the defaults for an image; the other settings are those of a command line without more options.
    #[must_use]
    pub fn new(image: String, pull_policy: PullPolicy) -> Self {
        Self {
            image,
            pull_policy,
            pull_secrets: Vec::new(),
            agent: Agent::default(),
            common_labels: BTreeMap::new(),
            name_user: true,
            scrape_annotations: true,
        }
    }

    /// Returns the settings of one agent. A field of its own replaces the default; labels, annotations and variables
    /// are joined by name, and pull secrets are added, for the image is the same.
    #[must_use]
    pub fn settings(&self, own: &Agent) -> Agent {
        let Agent {
            mode,
            resources,
            node_selector,
            tolerations,
            priority_class_name,
            affinity,
            topology_spread_constraints,
            image_pull_secrets,
            labels,
            annotations,
            env,
            host_aliases,
            log_level,
            log_format,
        } = own.clone();
        let default = self.agent.clone();
        Agent {
            mode,
            resources: resources.or(default.resources),
            node_selector: node_selector.or(default.node_selector),
            tolerations: tolerations.or(default.tolerations),
            priority_class_name: priority_class_name.or(default.priority_class_name),
            affinity: affinity.or(default.affinity),
            topology_spread_constraints: topology_spread_constraints.or(default.topology_spread_constraints),
            image_pull_secrets: Some(self.pull_secrets(image_pull_secrets)),
            labels: joined(default.labels, labels),
            annotations: joined(default.annotations, annotations),
            env: env.map_or(default.env.clone(), |own| {
                let mut all = default.env.unwrap_or_default();
                all.retain(|variable| !own.iter().any(|other| other.name == variable.name));
                all.extend(own);
                Some(all)
            }),
            host_aliases: host_aliases.or(default.host_aliases),
            log_level: log_level.or(default.log_level),
            log_format: log_format.or(default.log_format),
        }
    }

    fn pull_secrets(&self, own: Option<Vec<SecretReference>>) -> Vec<SecretReference> {
        let mut all: Vec<SecretReference> =
            self.pull_secrets.iter().map(|name| SecretReference { name: name.clone() }).collect();
        all.extend(self.agent.image_pull_secrets.clone().unwrap_or_default());
        all.extend(own.unwrap_or_default());
        let mut seen = std::collections::HashSet::new();
        all.retain(|secret| seen.insert(secret.name.clone()));
        all
    }
}

fn joined(
    default: Option<BTreeMap<String, String>>,
    own: Option<BTreeMap<String, String>>,
) -> Option<BTreeMap<String, String>> {
    match (default, own) {
        (Some(mut default), Some(own)) => {
            default.extend(own);
            Some(default)
        }
        (default, own) => own.or(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn agent(fields: serde_json::Value) -> Agent {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn fields_of_the_device_win_over_defaults() {
        let mut defaults = AgentDefaults::new("agent:1".to_owned(), PullPolicy::IfNotPresent);
        defaults.pull_secrets = vec!["a".to_owned(), "b".to_owned()];
        defaults.agent = agent(json!({
            "resources": {"limits": {"memory": "64Mi"}}, "nodeSelector": {"zone": "1"}, "priorityClassName": "low",
            "labels": {"team": "x", "tier": "edge"}, "env": [{"name": "TZ", "value": "UTC"}, {"name": "A", "value": "1"}],
            "logLevel": "warn", "logFormat": "text"
        }));
        let own = agent(json!({
            "nodeSelector": {"zone": "2"}, "labels": {"team": "y"}, "env": [{"name": "TZ", "value": "CET"}],
            "imagePullSecrets": [{"name": "b"}, {"name": "c"}], "logLevel": "debug"
        }));
        let expected = agent(json!({
            "resources": {"limits": {"memory": "64Mi"}}, "nodeSelector": {"zone": "2"}, "priorityClassName": "low",
            "labels": {"team": "y", "tier": "edge"}, "env": [{"name": "A", "value": "1"}, {"name": "TZ", "value": "CET"}],
            "imagePullSecrets": [{"name": "a"}, {"name": "b"}, {"name": "c"}], "logLevel": "debug", "logFormat": "text"
        }));
        assert_eq!(defaults.settings(&own), expected);
        let untouched =
            Agent { image_pull_secrets: Some(defaults.pull_secrets(None)), ..defaults.agent.clone() };
        assert_eq!(defaults.settings(&Agent::default()), untouched);
    }
}
