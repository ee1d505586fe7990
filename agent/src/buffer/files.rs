//! Opens the agent's files and folders for their owner only, and follows no link: a program that may write in a buffer's
//! folder cannot lead the agent to another device's files. Reads and writes disk.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Mode of a file: its owner reads and writes it.
const FILE: u32 = 0o600;
/// Mode of a folder: its owner enters it.
const FOLDER: u32 = 0o700;
/// Rights of group and others.
const FOREIGN: u32 = 0o077;

/// Makes a folder and those above it, and closes it to others.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)?;
    let found = std::fs::symlink_metadata(path)?;
    if found.is_symlink() {
        return Err(link(path));
    }
    if found.mode() & FOREIGN != 0 {
        // An agent before this one made it open. On a volume without rights, or in a folder of another owner, it stays so.
        let _ = std::fs::set_permissions(path, Permissions::from_mode(found.mode() & 0o7777 & !FOREIGN));
    }
    Ok(())
}

/// Opens a folder that is not a symbolic link.
pub(super) fn open_folder(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_DIRECTORY;
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| named(path, error))
}

/// Opens a regular file. Does not wait for a pipe's other end, as an open without flags would.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let options = options.mode(FILE).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).map_err(|error| named(path, error))?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_file(path)) }
}

/// Makes a new file in the place of whatever has this name: that is unlinked, and not written through.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(FILE).open(path)
}

/// Reads a regular file of at most `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, OpenOptions::new().read(true))?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let words =
            format!("{} has more than {most} bytes, which no agent writes: remove it", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    Ok(bytes)
}

/// Returns the length of a regular file.
pub(super) fn length(path: &Path) -> io::Result<u64> {
    let found = std::fs::symlink_metadata(path)?;
    match found.is_file() {
        true => Ok(found.len()),
        false if found.is_symlink() => Err(link(path)),
        false => Err(no_file(path)),
    }
}

fn named(path: &Path, error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ELOOP) => link(path),
        Some(libc::ENXIO) => no_file(path),
        // A folder that is none, when it was opened as one, is a link or a file.
        _ if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) => link(path),
        _ => error,
    }
}

fn link(path: &Path) -> io::Error {
    let words = format!("{} is a symbolic link, which the agent does not follow: remove it", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

fn no_file(path: &Path) -> io::Error {
    let words = format!("{} is not a regular file: remove it", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch_folder::ScratchFolder;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn m5_folders_and_files_are_their_owners_only() {
        let folder = ScratchFolder::new();
        make_folder(&folder.at("a/b")).unwrap();
        create(&folder.at("a/b/new")).unwrap();
        open(&folder.at("a/b/lock"), File::options().create(true).truncate(false).write(true)).unwrap();
        let modes = ["a", "a/b", "a/b/new", "a/b/lock"].map(|name| mode(&folder.at(name)));
        assert_eq!(modes, [0o700, 0o700, 0o600, 0o600]);
        // One that an earlier agent made.
        std::fs::create_dir(folder.at("old")).unwrap();
        std::fs::set_permissions(folder.at("old"), Permissions::from_mode(0o2755)).unwrap();
        make_folder(&folder.at("old")).unwrap();
        assert_eq!(std::fs::metadata(folder.at("old")).unwrap().mode() & 0o7777, 0o2700);
    }

    #[test]
    fn m5_symbolic_links_are_not_followed() {
        let folder = ScratchFolder::new();
        std::fs::write(folder.at("victim"), "events").unwrap();
        std::fs::create_dir(folder.at("victims")).unwrap();
        symlink(folder.at("victim"), folder.at("file")).unwrap();
        symlink(folder.at("victims"), folder.at("folder")).unwrap();
        let refusals = [
            open(&folder.at("file"), File::options().read(true)).err(),
            open(&folder.at("file"), File::options().write(true).truncate(true)).err(),
            read(&folder.at("file"), 100).err(),
            length(&folder.at("file")).err(),
            make_folder(&folder.at("folder")).err(),
            open_folder(&folder.at("folder")).err(),
        ];
        for refusal in refusals {
            let refusal = refusal.unwrap().to_string();
            assert!(refusal.contains("symbolic link"), "{refusal}");
        }
        // A new file takes the link's place, and not the file behind it.
        create(&folder.at("file")).unwrap();
        assert_eq!(std::fs::read_to_string(folder.at("victim")).unwrap(), "events");
        assert!(std::fs::symlink_metadata(folder.at("file")).unwrap().is_file());
    }

    #[test]
    fn m5_hard_link_is_replaced_and_not_written() {
        let folder = ScratchFolder::new();
        std::fs::write(folder.at("victim"), "events").unwrap();
        std::fs::hard_link(folder.at("victim"), folder.at("file")).unwrap();
        create(&folder.at("file")).unwrap();
        assert_eq!(std::fs::read_to_string(folder.at("victim")).unwrap(), "events");
    }

    #[test]
    fn m5_pipes_and_huge_files_are_refused() {
        let folder = ScratchFolder::new();
        let made = std::process::Command::new("mkfifo").arg(folder.at("pipe")).status();
        assert!(made.is_ok_and(|made| made.success()));
        assert!(read(&folder.at("pipe"), 100).is_err());
        assert!(open(&folder.at("pipe"), File::options().write(true)).is_err());
        assert!(length(&folder.at("pipe")).is_err());
        File::create(folder.at("huge")).unwrap().set_len(1 << 40).unwrap();
        assert!(read(&folder.at("huge"), 100).unwrap_err().to_string().contains("100 bytes"));
    }
}
