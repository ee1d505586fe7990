//! Data formats of Azure, and readers of text and YAML. Pure: no I/O, no clock, no randomness.
//!
//! ```text
//! text/     text that people provide: UTF-8, PEM; errors never repeat it
//! document/ YAML documents: reports all problems at once, with positions and fixes
//! hub/      IoT Hub and DPS: ids, keys, tokens, user names, topics, property bags, DPS bodies
//! ```
//!
//! Protocol facts name their source as `ref §N`: section N of Azure's documented wire behaviour as Lanyard's
//! reference restates it.

pub mod text;
pub mod document;
pub mod hub;
