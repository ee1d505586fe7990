//! The configuration: the document as it is written, its keys and certificates, and what is checked and ready to use.

pub mod document;
pub mod problems;
pub mod field;
pub mod files;
pub mod secret;
pub mod certificates;
pub mod hub;
pub mod attestation;
pub mod provisioning;
pub mod check;
pub mod checked;
