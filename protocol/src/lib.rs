//! What Lanyard's programs say to each other and to Azure: pure, no I/O, no clock, no randomness.
//!
//! ```text
//! text/     text that people hand over: UTF-8, PEM; errors never repeat it
//! document/ what people write in YAML: places of fields, mistakes in words, all of them at once
//! hub/      everybody <-> IoT Hub and DPS: ids, keys, tokens, user names, topics, property bags, DPS bodies
//! payload/  bodies of messages that users write themselves, as templates
//! handoff/  operator -> agent (configuration, credentials) and agent -> operator (status)
//! ```
//!
//! Protocol facts name their source as `ref §N`: section N of Azure's documented wire behaviour as Lanyard's
//! reference restates it.

pub mod text;
pub mod document;
pub mod hub;
pub mod payload;
pub mod handoff;
