//! Level: pipeline.
