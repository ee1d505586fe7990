//! Moments of a connection, detected by its TLS 1.3 records without a key (RFC 8446, section 5.1). Pure.

/// Direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Up.
    ToHub,
    /// Down.
    FromHub,
}

/// A moment of a connection. What makes it come does not pass any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// TCP's handshake is done.
    Accepted,
    /// The server has answered the client's hello, and goes on with its certificate.
    Handshake,
    /// TLS is ready, and the client sends CONNECT.
    Connect,
    /// The hub has let the device in, and sends CONNACK.
    Connack,
    /// The device knows, and sends its first message.
    Publish,
    /// So many bytes went up.
    ToHub(u64),
    /// So many bytes went down.
    FromHub(u64),
}

/// The type of records whose content is encrypted.
const ENCRYPTED: u8 = 23;
/// Type and version, and the length of what follows.
const HEAD: usize = 5;
/// An encrypted CONNACK: four bytes, the type of content and the tag. Tickets are longer, and PUBACKs come later.
const CONNACK: usize = 4 + 1 + 16;

/// Detector of one moment of one connection.
#[derive(Debug)]
pub struct Lookout {
    moment: Option<Moment>,
    up: Records,
    down: Records,
}

impl Lookout {
    /// Looks out for a moment, if there is one.
    #[must_use]
    pub fn new(moment: Option<Moment>) -> Self {
        Self { moment, up: Records::default(), down: Records::default() }
    }

    /// Returns how many of these bytes still pass if the moment comes with them.
    pub fn passes(&mut self, way: Way, bytes: &[u8]) -> Option<usize> {
        let (one, other) = match way {
            Way::ToHub => (&mut self.up, &self.down),
            Way::FromHub => (&mut self.down, &self.up),
        };
        let up_before = other.encrypted;
        let before = one.bytes;
        let counted = |limit: u64| {
            let rest = usize::try_from(limit - before).unwrap_or(usize::MAX);
            (rest < bytes.len()).then_some(rest)
        };
        let found = match (self.moment, way) {
            (Some(Moment::ToHub(limit)), Way::ToHub) | (Some(Moment::FromHub(limit)), Way::FromHub) => {
                return counted(limit).or_else(|| {
                    one.bytes += bytes.len() as u64;
                    None
                });
            }
            (Some(Moment::Handshake), Way::FromHub) => one.find(bytes, |number, _| number == 1),
            // The first one ends the handshake.
            (Some(Moment::Connect), Way::ToHub) => one.find(bytes, |number, _| number == 2),
            (Some(Moment::Connack), Way::FromHub) => {
                one.find(bytes, |_, length| up_before >= 2 && length == CONNACK)
            }
            (Some(Moment::Publish), Way::ToHub) => one.find(bytes, |number, _| number == 3),
            _ => one.find(bytes, |_, _| false),
        };
        one.bytes += bytes.len() as u64;
        found
    }
}

/// The records of one way.
#[derive(Debug, Default)]
struct Records {
    bytes: u64,
    head: Vec<u8>,
    /// Of the record under way.
    left: usize,
    /// Number of started encrypted records.
    encrypted: u32,
}

impl Records {
    /// Returns the position of the first encrypted record for which `is_it` holds, by number and length; otherwise
    /// all of `bytes` is read.
    fn find(&mut self, bytes: &[u8], is_it: impl Fn(u32, usize) -> bool) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len() - at);
                self.left -= skipped;
                at += skipped;
                continue;
            }
            self.head.push(bytes[at]);
            at += 1;
            if let [kind, _, _, high, low] = self.head[..] {
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.head.clear();
                self.encrypted += u32::from(kind == ENCRYPTED);
                if kind == ENCRYPTED && is_it(self.encrypted, self.left) {
                    return Some(at.saturating_sub(HEAD));
                }
            }
        }
        None
    }
}
