//! `lanyard-operator check`: asks the API server for the kinds and for every right of the operator, and reports what is missing.
//! Reads the cluster.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures::StreamExt;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::arguments::Check;

/// Rules of the chart, which no other file repeats.
const RULES: &str = include_str!("../../charts/lanyard/files/operator-rules.yaml");
/// The API whose kinds are needed.
const KINDS: (&str, [&str; 2]) = ("lanyard.dev/v1alpha1", ["iotdevices", "provisioninggroups"]);
/// Maximum number of concurrent requests.
const AT_ONCE: usize = 8;

/// Error of the check.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The API server does not answer.
    #[error("the API server does not answer: {0}")]
    Unreachable(#[source] kube::Error),
    /// The API server does not answer which permissions exist.
    #[error("cannot ask for the operator's rights: {0}")]
    Review(#[source] kube::Error),
    /// The rules in the program are not readable.
    #[error("the rules in this program cannot be read: {0}")]
    Rules(String),
}

/// One thing that the operator has to be allowed to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    namespace: Option<String>,
    group: String,
    resource: String,
    name: Option<String>,
    verb: String,
}

/// Checks the installation; the text is for people, and the flag says whether nothing is missing.
///
/// # Errors
/// [`CheckError`]
pub async fn check(client: &Client, arguments: &Check) -> Result<(String, bool), CheckError> {
    let version = client.apiserver_version().await.map_err(CheckError::Unreachable)?;
    let mut text = format!("API server {}.{}\n", version.major, version.minor);
    let absent = absent_kinds(client).await?;
    for kind in &absent {
        let _ = writeln!(
            text,
            "missing kind: {kind}.lanyard.dev: install the CustomResourceDefinitions (value crds.install, or \
                kubectl apply -f crds/manifests)"
        );
    }
    let rights = rights(arguments)?;
    let count = rights.len();
    let mut refused = futures::stream::iter(rights)
        .map(|right| async move { is_allowed(client, &right).await.map(|allowed| (right, allowed)) })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map_err(CheckError::Review)?;
    refused.retain(|(_, allowed)| !allowed);
    let complete = absent.is_empty() && refused.is_empty();
    text += &list(refused.into_iter().map(|(right, _)| right));
    if complete {
        let _ = writeln!(text, "ok: both kinds and all {count} rights are there");
    }
    Ok((text, complete))
}

async fn absent_kinds(client: &Client) -> Result<Vec<&'static str>, CheckError> {
    let (version, kinds) = KINDS;
    let served = match client.list_api_group_resources(version).await {
        Ok(list) => list.resources.into_iter().map(|resource| resource.name).collect(),
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(CheckError::Unreachable(error)),
    };
    Ok(kinds.into_iter().filter(|kind| !served.iter().any(|name| name == kind)).collect())
}

async fn is_allowed(client: &Client, right: &Right) -> Result<bool, kube::Error> {
    let Right { namespace, group, resource, name, verb } = right.clone();
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, part)) => (resource.to_owned(), Some(part.to_owned())),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        namespace,
        group: Some(group),
        resource: Some(resource),
        subresource,
        name,
        verb: Some(verb),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Returns every right that the operator needs, one by one.
fn rights(arguments: &Check) -> Result<Vec<Right>, CheckError> {
    let role: Role = serde_saphyr::from_str(&format!("metadata: {{name: operator}}\n{RULES}"))
        .map_err(|error| CheckError::Rules(error.to_string()))?;
    let everywhere = arguments.namespaces.is_empty();
    let namespaces: Vec<Option<String>> =
        if everywhere { vec![None] } else { arguments.namespaces.iter().cloned().map(Some).collect() };
    let mut rights: Vec<Right> = role
        .rules
        .unwrap_or_default()
        .iter()
        .flat_map(|rule| namespaces.iter().flat_map(move |namespace| of_rule(rule, namespace.as_ref())))
        .collect();
    let lease = |verb: &str, name: Option<&str>, namespace: Option<&str>| Right {
        namespace: namespace.map(str::to_owned),
        group: "coordination.k8s.io".to_owned(),
        resource: "leases".to_owned(),
        name: name.map(str::to_owned),
        verb: verb.to_owned(),
    };
    let home = Some(arguments.lease_namespace.as_str());
    let name = Some(arguments.lease_name.as_str());
    rights.extend([lease("create", None, home), lease("get", name, home), lease("update", name, home)]);
    if arguments.see_other_installations {
        rights.push(lease("list", None, None));
    }
    Ok(rights)
}

fn of_rule(rule: &PolicyRule, namespace: Option<&String>) -> Vec<Right> {
    let mut rights = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                rights.push(Right {
                    namespace: namespace.cloned(),
                    group: group.clone(),
                    resource: resource.clone(),
                    name: None,
                    verb: verb.clone(),
                });
            }
        }
    }
    rights
}

/// Lists the missing rights: a line for each resource, with all verbs that are missing.
fn list(missing: impl Iterator<Item = Right>) -> String {
    let mut grouped: BTreeMap<(Option<String>, String, Option<String>), Vec<String>> = BTreeMap::new();
    for Right { namespace, group, resource, name, verb } in missing {
        let resource = if group.is_empty() { resource } else { format!("{resource}.{group}") };
        grouped.entry((namespace, resource, name)).or_default().push(verb);
    }
    let mut text = String::new();
    for ((namespace, resource, name), mut verbs) in grouped {
        verbs.sort();
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        let place =
            namespace.map_or("in all namespaces".to_owned(), |namespace| format!("in namespace {namespace}"));
        let _ = writeln!(
            text,
            "missing right: {} {resource}{name} {place}: let the chart make the roles (value rbac.create), or bind \
                the rules of charts/lanyard/files/operator-rules.yaml",
            verbs.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(namespaces: &[&str]) -> Check {
        Check {
            namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
            lease_namespace: "system".to_owned(),
            lease_name: "lanyard-operator".to_owned(),
            see_other_installations: true,
        }
    }

    #[test]
    fn every_rule_of_the_chart_is_asked_in_every_namespace() {
        let everywhere = rights(&arguments(&[])).unwrap();
        let two = rights(&arguments(&["a", "b"])).unwrap();
        let own = 4;
        assert_eq!((everywhere.len() - own) * 2, two.len() - own);
        let has = |namespace: Option<&str>, resource: &str, verb: &str| {
            two.iter().any(|right| {
                right.namespace.as_deref() == namespace && right.resource == resource && right.verb == verb
            })
        };
        assert!(has(Some("a"), "secrets", "delete") && has(Some("b"), "iotdevices/status", "patch"));
        assert!(has(Some("system"), "leases", "update") && has(None, "leases", "list"));
    }

    #[test]
    fn missing_rights_of_a_resource_are_one_line() {
        let right = |resource: &str, verb: &str, namespace: Option<&str>| Right {
            namespace: namespace.map(str::to_owned),
            group: if resource == "secrets" { String::new() } else { "apps".to_owned() },
            resource: resource.to_owned(),
            name: None,
            verb: verb.to_owned(),
        };
        let text = list(
            [
                right("secrets", "patch", Some("a")),
                right("secrets", "create", Some("a")),
                right("statefulsets", "get", None),
            ]
            .into_iter(),
        );
        let starts: Vec<&str> = text.lines().filter_map(|line| line.split(": let").next()).collect();
        let expected = [
            "missing right: get statefulsets.apps in all namespaces",
            "missing right: create, patch secrets in namespace a",
        ];
        assert_eq!(starts, expected);
    }
}
