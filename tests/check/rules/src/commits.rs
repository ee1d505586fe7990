//! The rule for commits: `area: imperative`, at most 72 characters. Reads the history.

use crate::tracked::git;
use crate::violation::Violation;

/// The last commit before the rule existed.
const BEFORE: &str = "ce8bbac05a56";

/// Longest subject, in characters: what `git log --oneline` shows on a screen of 80 columns.
const LONGEST: usize = 72;

/// Subjects that git makes itself.
const MADE_BY_GIT: [&str; 2] = ["Merge ", "Revert "];

/// Checks every commit since the rule exists; without that history, as in a shallow clone, the last one.
pub(crate) fn violations() -> Result<Vec<Violation>, String> {
    let since = if git(&["merge-base", "--is-ancestor", BEFORE, "HEAD"]).is_ok() {
        format!("{BEFORE}..HEAD")
    } else {
        "-1".to_owned()
    };
    let log = git(&["log", "--no-merges", "--format=%h%x1f%s", &since])?;
    let commits = log.lines().filter_map(|line| line.split_once('\u{1f}'));
    Ok(commits
        .filter_map(|(commit, subject)| Some(Violation::new(format!("commit {commit}"), fault(subject)?)))
        .collect())
}

fn fault(subject: &str) -> Option<String> {
    if MADE_BY_GIT.iter().any(|prefix| subject.starts_with(prefix)) {
        return None;
    }
    let length = subject.chars().count();
    if length > LONGEST {
        return Some(format!("the subject has {length} characters, {LONGEST} at most: {subject:?}"));
    }
    let area = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_lowercase() || "-/.,".contains(c) || c.is_ascii_digit())
    };
    match subject.split_once(": ") {
        Some((area_text, rest))
            if area(area_text) && rest.chars().next().is_some_and(|c| c.is_lowercase() || c.is_numeric()) =>
        {
            None
        }
        _ => Some(format!("the subject is not `area: imperative`: {subject:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_with_area_and_imperative_passes() {
        for subject in [
            "tests: wait for the lease",
            "chart,docs: name the port",
            "protocol/hub: parse topics",
            "Merge branch 'a'",
        ] {
            assert_eq!(fault(subject), None, "{subject}");
        }
    }

    #[test]
    fn subject_without_area_or_too_long_fails() {
        for subject in [
            "Wait for the lease",
            "tests: Wait",
            "tests:wait",
            ": wait",
            "two words: wait",
            &format!("tests: {}", "w".repeat(66)),
        ] {
            assert!(fault(subject).is_some(), "{subject}");
        }
    }
}
