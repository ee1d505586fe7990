//! MQTT 3.1.1 as bytes: frames in, packets out, answers back. Pure; nothing here knows what a hub is.
//!
//! The packets are read and written by `mqtt-protocol-core`, whose packet layer is sans-I/O. Two codecs came into
//! question, neither shared with the agent:
//! - `mqtt-proto` is smaller, but its topic names and filters refuse `#` and `+` anywhere. A hub's device ids may
//!   contain both and are in topics unchanged (ref §1.2, §14.6 row 20), so such devices could never publish.
//! - `mqtt-protocol-core` reads a topic as text, keeps the payload where it was received, is maintained, contains no
//!   `unsafe` on the paths used here and checks every length before it slices.
//!
//! It leaves to its caller what this module adds: the fixed header with a limit on what is buffered, the flag bits
//! that must be zero, packet ids that must not be zero, and bytes left over behind a packet.

pub mod frame;
pub mod packet;
pub mod answer;
