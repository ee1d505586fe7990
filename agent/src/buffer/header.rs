//! Header of the buffer's files: program and version. Pure.

/// Version of the files' format. It is raised when an older agent would misread new files.
const VERSION: u8 = 1;
const MAGIC: [u8; 7] = *b"LANYARD";

/// Bytes of a header.
pub(super) const LEN: usize = 12;

/// Result of reading a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileVersion {
    /// Written by this version.
    Ours,
    /// Written by a newer agent.
    Newer(u8),
    /// Corrupt, or of another program.
    Unknown,
}

/// Returns the header of this version.
pub(crate) fn ours() -> [u8; LEN] {
    of(VERSION)
}

fn of(version: u8) -> [u8; LEN] {
    let mut header = [0; LEN];
    header[..7].copy_from_slice(&MAGIC);
    header[7] = version;
    let checksum = crc32c::crc32c(&header[..8]);
    header[8..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Reads the header at the beginning of a file.
pub(super) fn read(bytes: &[u8]) -> FileVersion {
    let Some(header) = bytes.first_chunk::<LEN>() else { return FileVersion::Unknown };
    match header[7] {
        version if *header != of(version) => FileVersion::Unknown,
        VERSION => FileVersion::Ours,
        version => FileVersion::Newer(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart_from_rubbish() {
        assert_eq!(read(&ours()), FileVersion::Ours);
        assert_eq!(read(&of(2)), FileVersion::Newer(2));
        assert_eq!(read(&ours()[1..]), FileVersion::Unknown);
        let mut broken = ours();
        broken[7] = 9;
        assert_eq!(read(&broken), FileVersion::Unknown);
    }
}
