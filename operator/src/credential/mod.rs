//! What devices prove themselves with: made, checked, exchanged and renewed. Pure, but for [`forge`], which keeps threads busy.

pub mod pem;
pub mod pair;
pub mod certificate;
pub mod certified;
pub mod issuer;
pub mod leaf;
pub mod kept;
pub mod trusted_ca;
pub mod consent;
pub mod bounds;
pub mod schedule;
pub mod held;
pub mod change;
pub mod turns;
pub mod forge;
