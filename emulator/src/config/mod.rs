//! The configuration: the document as it is written, its keys, and what is checked and ready to use.

pub mod document;
pub mod mistakes;
pub mod secret;
pub mod check;
pub mod checked;
pub mod build;
