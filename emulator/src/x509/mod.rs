//! X.509 as hub and DPS check it (azure-iot-protocol §9): certificates of clients, their names and their issuers.

pub mod certificate;
pub mod thumbprint;
pub mod text;
pub mod presented;
pub mod chain;
pub mod authorities;
