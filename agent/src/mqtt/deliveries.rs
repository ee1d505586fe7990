//! Tokens of messages on their way, by packet id or by order. Pure.

use std::collections::{HashMap, VecDeque};

use crate::mqtt::transport::DeliveryToken;

/// Tokens of the messages of one connection that are not delivered yet.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// By packet id: delivered when the server acknowledges them.
    acknowledged: HashMap<u16, DeliveryToken>,
    /// Without a packet id, in order: delivered when they are written.
    written: VecDeque<DeliveryToken>,
    /// Number of the first ones in `written` that are encoded, and not written completely.
    encoded: usize,
    /// Number of the first ones in `written` that are written, before those.
    complete: usize,
}

impl Deliveries {
    /// Adds a message; 0 is no packet id.
    pub(super) fn add(&mut self, packet_id: u16, token: DeliveryToken) {
        match packet_id {
            0 => self.written.push_back(token),
            packet_id => drop(self.acknowledged.insert(packet_id, token)),
        }
    }

    /// Takes the message that the server acknowledges.
    pub(super) fn acknowledge(&mut self, packet_id: u16) -> Option<DeliveryToken> {
        self.acknowledged.remove(&packet_id)
    }

    /// Notes that the next message without a packet id is encoded.
    pub(super) const fn encode(&mut self) {
        self.encoded = self.encoded.saturating_add(1);
    }

    /// Notes that all encoded bytes are written.
    pub(super) fn flush(&mut self) {
        self.complete = self.complete.saturating_add(std::mem::take(&mut self.encoded));
    }

    /// Takes the next message without a packet id that is written.
    pub(super) fn next_written(&mut self) -> Option<DeliveryToken> {
        self.complete = self.complete.checked_sub(1)?;
        self.written.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_find_their_messages_in_any_order() {
        let mut deliveries = Deliveries::default();
        for (packet_id, message) in [(1, 7), (2, 8), (3, 9)] {
            deliveries.add(packet_id, DeliveryToken(message));
        }
        let found = [2, 1, 1, 3, 4].map(|packet_id| deliveries.acknowledge(packet_id).map(|token| token.0));
        assert_eq!(found, [Some(8), Some(7), None, Some(9), None]);
    }

    #[test]
    fn message_without_packet_id_is_delivered_when_written() {
        let mut deliveries = Deliveries::default();
        (10..14).for_each(|message| deliveries.add(0, DeliveryToken(message)));
        assert_eq!(deliveries.next_written(), None);
        deliveries.encode();
        deliveries.encode();
        assert_eq!(deliveries.next_written(), None, "encoded is not written");
        deliveries.flush();
        deliveries.encode();
        assert_eq!(deliveries.next_written(), Some(DeliveryToken(10)));
        assert_eq!(deliveries.next_written(), Some(DeliveryToken(11)));
        assert_eq!(deliveries.next_written(), None, "the third is encoded only");
        deliveries.flush();
        assert_eq!(deliveries.next_written(), Some(DeliveryToken(12)));
        assert_eq!(deliveries.next_written(), None);
    }
}
