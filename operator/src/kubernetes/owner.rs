//! Controller of an object that the operator writes. Pure.

use kube::Resource;

use super::key::Key;

/// For whom something is written: its controller, who takes it along when it is deleted.
#[derive(Debug, Clone)]
pub struct Owner {
    pub(crate) kind: std::borrow::Cow<'static, str>,
    pub(crate) key: Key,
    pub(crate) uid: Option<String>,
}

impl Owner {
    /// Creates the owner from a device or a group.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        Self { kind: K::kind(&()), key: Key::of(object), uid: object.meta().uid.clone() }
    }
}
