//! Level: cluster.
