//! The files that git tracks, and git's answers. Reads disk.

use std::process::Command;

/// Runs git and returns what it prints.
///
/// # Errors
/// Git is missing or fails; the error holds its message.
pub(crate) fn git(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .args(arguments)
        .output()
        .map_err(|error| format!("failed to run git: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "git {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the paths of tracked files and of new files that git does not ignore.
///
/// # Errors
/// As [`git`].
pub(crate) fn files() -> Result<Vec<String>, String> {
    let listed = git(&["ls-files", "--cached", "--others", "--exclude-standard"])?;
    Ok(listed.lines().filter(|path| std::path::Path::new(path).is_file()).map(ToOwned::to_owned).collect())
}

/// Returns a file's text, or none if it is not UTF-8.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn text(path: &str) -> Result<Option<String>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("failed to read {path}: {error}"))?;
    Ok(String::from_utf8(bytes).ok())
}
