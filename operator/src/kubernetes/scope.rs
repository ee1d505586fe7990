//! Namespaces of the operator: all, or some. Pure.

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// Namespaces of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In every namespace.
    Everywhere,
    /// In these.
    Namespaces(Vec<String>),
}

impl Scope {
    /// Creates a scope of these namespaces. No names mean everywhere.
    #[must_use]
    pub fn new(mut namespaces: Vec<String>) -> Self {
        namespaces.sort();
        namespaces.dedup();
        if namespaces.is_empty() { Self::Everywhere } else { Self::Namespaces(namespaces) }
    }

    /// Returns the APIs to watch for one kind, each with its namespace.
    #[must_use]
    pub fn apis<K>(&self, client: &Client) -> Vec<(Option<String>, Api<K>)>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match self {
            Self::Everywhere => vec![(None, Api::all(client.clone()))],
            Self::Namespaces(names) => {
                names.iter().map(|name| (Some(name.clone()), Api::namespaced(client.clone(), name))).collect()
            }
        }
    }
}
