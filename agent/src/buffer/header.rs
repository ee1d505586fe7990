//! The first bytes of the buffer's files: whose they are, and in which version. Pure.

/// Grows when an older agent would misread the files.
const VERSION: u8 = 1;
const MAGIC: [u8; 7] = *b"LANYARD";

/// Bytes of a stamp.
pub(super) const LEN: usize = 12;

/// Result of reading a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Written by this version.
    Ours,
    /// Written by a newer agent.
    Newer(u8),
    /// Corrupt, or of another program.
    Unknown,
}

/// The stamp of this version.
pub(crate) fn ours() -> [u8; LEN] {
    of(VERSION)
}

fn of(version: u8) -> [u8; LEN] {
    let mut stamp = [0; LEN];
    stamp[..7].copy_from_slice(&MAGIC);
    stamp[7] = version;
    let checksum = crc32c::crc32c(&stamp[..8]);
    stamp[8..].copy_from_slice(&checksum.to_le_bytes());
    stamp
}

/// Reads the header at the beginning of a file.
pub(super) fn read(bytes: &[u8]) -> Stamp {
    let Some(stamp) = bytes.first_chunk::<LEN>() else { return Stamp::Unknown };
    match stamp[7] {
        version if *stamp != of(version) => Stamp::Unknown,
        VERSION => Stamp::Ours,
        version => Stamp::Newer(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart_from_rubbish() {
        assert_eq!(read(&ours()), Stamp::Ours);
        assert_eq!(read(&of(2)), Stamp::Newer(2));
        assert_eq!(read(&ours()[1..]), Stamp::Unknown);
        let mut broken = ours();
        broken[7] = 9;
        assert_eq!(read(&broken), Stamp::Unknown);
    }
}
