//! Packets of a server over an accepted connection.

use bytes::BytesMut;
use lanyard_agent::mqtt::link::{MAX_PACKET_BYTES, codec};
use tokio_util::codec::Decoder;

/// Reads bytes as packets: none is larger than the limit, and the packets do not depend on how the bytes are split.
///
/// # Panics
/// If this is not so.
pub fn read(bytes: &[u8]) {
    let whole = packets(bytes, bytes.len().max(1));
    for piece in [1, 7] {
        assert_eq!(packets(bytes, piece), whole, "in pieces of {piece}");
    }
}

/// Returns the packets before the end or the first error, as text.
fn packets(bytes: &[u8], piece: usize) -> Vec<String> {
    let (mut codec, mut input, mut found) = (codec(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            match codec.decode(&mut input) {
                Ok(Some(packet)) => {
                    assert!(packet.size() <= MAX_PACKET_BYTES);
                    found.push(format!("{packet:?}"));
                }
                Ok(None) => break,
                Err(_) => return found,
            }
        }
        assert!(input.capacity() <= 4 * MAX_PACKET_BYTES, "{} bytes of room", input.capacity());
    }
    found
}
