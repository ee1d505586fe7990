//! Vocabulary for Kubernetes objects: keys, labels, owners, data, stores, watches and queues.

pub mod labels;
pub mod key;
pub mod owner;
pub mod reference;
pub mod secret;
pub mod quantity;
pub mod found;
pub mod error;
pub mod event;
pub mod written_status;
pub mod scope;
pub mod store;
pub mod queues;
pub mod watch;
