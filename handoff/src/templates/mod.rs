//! Bodies of messages in a form that users write themselves: the templates of Kepware's IoT Gateway.
//!
//! ```text
//! text ─► tokens ─► nodes ─► plan ─► body
//! (standard templates become nodes straight away)
//! ```

pub mod texts;
pub mod token;
pub mod problem;
pub mod node;
pub mod standard;
pub mod plan;
pub mod escape;
pub mod render;
pub mod template;
pub mod json_check;
