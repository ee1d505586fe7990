//! Narrow: events as they happened, a tag possibly many times. Pure.

/// Whether a message that has `events` takes another one: up to `max_events`, the rest rides in further messages.
pub(super) fn takes(events: usize, max_events: u32) -> bool {
    u32::try_from(events).is_ok_and(|events| events < max_events)
}
