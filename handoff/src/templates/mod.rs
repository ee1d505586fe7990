//! Templates of message bodies, in the syntax of Kepware's IoT Gateway. Pure.
//!
//! ```text
//! text ─► tokens ─► nodes ─► plan ─► body
//! (standard templates are converted to nodes directly)
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
