//! X.509 as hub and DPS look at it (ref §9): certificates of strangers, their names, and who vouches for them.

pub mod certificate;
pub mod thumbprint;
pub mod text;
pub mod presented;
pub mod chain;
pub mod authorities;
