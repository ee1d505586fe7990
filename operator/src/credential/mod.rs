//! Credentials of devices: issued, checked, replaced and renewed. Pure, except for [`key_generator`], which uses threads.

pub mod pem;
pub mod pair;
pub mod certificate;
pub mod certified;
pub mod issuer;
pub mod leaf;
pub mod external;
pub mod trusted_ca;
pub mod consent;
pub mod bounds;
pub mod schedule;
pub mod stored;
pub mod change;
pub mod rollover_queue;
pub mod key_generator;
