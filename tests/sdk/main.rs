//! Level: sdk.
