//! Level: provisioning.
