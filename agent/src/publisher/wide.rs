//! Wide: every tag once, with its current value: one picture a message. Pure.

/// Whether a message that has `events` takes another one: the rest of the picture it began, however many tags it
/// has, and nothing of the next one.
pub(super) fn takes(events: usize, continues: bool) -> bool {
    events == 0 || continues
}
