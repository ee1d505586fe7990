//! Bodies of messages in a form that users write themselves: the templates of Kepware's IoT Gateway.
//!
//! ```text
//! text ─► tokens ─► nodes ─► plan ─► body
//! (standard templates become nodes straight away)
//! ```

pub mod token;
pub mod mistake;
pub mod node;
pub mod standard;
pub mod plan;
pub mod escape;
pub mod write;
pub mod template;
pub mod trial;
