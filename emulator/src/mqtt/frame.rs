//! Cuts a stream of bytes into MQTT control packets, and buffers no more than the largest one Azure takes. Pure.

use std::sync::Arc;

use bytes::{Buf, BytesMut};

/// The largest body of a telemetry message (ref §4.5).
pub const MAX_BODY: usize = 256 * 1024;

/// The largest packet behind its fixed header: a body, a topic of the longest MQTT string, and two lengths.
pub const MAX_REMAINING: usize = MAX_BODY + u16::MAX as usize + 4;

/// The largest packet of a client that is not known yet. A last will may have 64 KiB; names and token take little.
pub const MAX_CONNECT: usize = 80 * 1024;

/// One control packet: its first byte and what follows the length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Packet type in the upper four bits, flags in the lower.
    pub first: u8,
    /// Variable header and payload.
    pub rest: Arc<[u8]>,
}

/// Error of bytes that are not a packet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// More than four bytes, each announcing another one.
    #[error("the packet's length is not an MQTT length")]
    Length,
    /// Larger than anything Azure takes.
    #[error("the packet announces {announced} bytes, the limit is {limit}")]
    TooLarge {
        /// Length in the header.
        announced: usize,
        /// Current limit.
        limit: usize,
    },
}

/// Takes the next whole packet, of at most `limit` bytes behind its length, out of `input`; `None` when there is none yet.
///
/// # Errors
/// [`FrameError`]: the stream cannot be read any further.
pub fn next(input: &mut BytesMut, limit: usize) -> Result<Option<Frame>, FrameError> {
    let Some((remaining, length_bytes)) = length(input)? else { return Ok(None) };
    if remaining > limit {
        return Err(FrameError::TooLarge { announced: remaining, limit });
    }
    let header = 1 + length_bytes;
    let Some(rest) = input.get(header..header + remaining) else { return Ok(None) };
    let frame = Frame { first: input[0], rest: Arc::from(rest) };
    input.advance(header + remaining);
    Ok(Some(frame))
}

/// Reads the remaining length and the number of bytes that encode it; `None` until they have all arrived.
fn length(input: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let mut value = 0;
    for position in 0..4 {
        let Some(&byte) = input.get(1 + position) else { return Ok(None) };
        value |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Ok(Some((value, position + 1)));
        }
    }
    Err(FrameError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(bytes: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, FrameError> {
        let mut input = BytesMut::from(bytes);
        let mut out = Vec::new();
        while let Some(frame) = next(&mut input, MAX_REMAINING)? {
            out.push((frame.first, frame.rest.to_vec()));
        }
        Ok(out)
    }

    #[test]
    fn packets_come_out_whole() {
        assert_eq!(frames(&[]), Ok(vec![]));
        assert_eq!(frames(&[0xc0]), Ok(vec![]));
        assert_eq!(frames(&[0xc0, 0, 0x40, 2, 0, 2, 0xe0]), Ok(vec![(0xc0, vec![]), (0x40, vec![0, 2])]));
        assert_eq!(frames(&[0x30, 0x80]), Ok(vec![]));
        let mut long = vec![0x30, 0x80, 0x01];
        long.extend(vec![7; 128]);
        assert_eq!(frames(&long), Ok(vec![(0x30, vec![7; 128])]));
    }

    #[test]
    fn forbidden_packet_is_refused_before_it_is_buffered() {
        assert_eq!(frames(&[0x30, 0x80, 0x80, 0x80, 0x80]), Err(FrameError::Length));
        assert_eq!(
            frames(&[0x30, 0xff, 0xff, 0xff, 0x7f]),
            Err(FrameError::TooLarge { announced: 268_435_455, limit: MAX_REMAINING })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_or_refused(bytes: Vec<u8>) {
            let _ = frames(&bytes);
        }

        #[test]
        fn packets_survive_any_split_of_the_stream(
            rests in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6),
            at: prop::sample::Index,
        ) {
            let mut bytes = Vec::new();
            for rest in &rests {
                bytes.push(0x30);
                let mut left = rest.len();
                while left >= 128 {
                    bytes.push(left as u8 | 0x80);
                    left /= 128;
                }
                bytes.push(left as u8);
                bytes.extend(rest);
            }
            let split = at.index(bytes.len() + 1);
            let mut input = BytesMut::from(&bytes[..split]);
            let mut out = Vec::new();
            while let Some(frame) = next(&mut input, MAX_REMAINING).unwrap() { out.push(frame.rest.to_vec()); }
            input.extend_from_slice(&bytes[split..]);
            while let Some(frame) = next(&mut input, MAX_REMAINING).unwrap() { out.push(frame.rest.to_vec()); }
            prop_assert_eq!(out, rests);
        }
    }
}
