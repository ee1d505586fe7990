//! The hub that DPS assigned, remembered over restarts. Touches disk: one small file in the device's buffer folder.

use std::path::{Path, PathBuf};

use lanyard_protocol::handoff::config::Dps;
use lanyard_protocol::handoff::fingerprint::Fingerprint;
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::DeviceId;
use serde::{Deserialize, Serialize};

/// The file's name in the device's buffer folder.
pub const FILE_NAME: &str = "assignment.json";

/// What DPS answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The hub to connect to.
    pub assigned_hub: HostPort,
    /// The id at that hub.
    pub device_id: DeviceId,
}

/// Whom it was asked from, for and with: an answer to another question is of no use. The hub learns of a changed
/// credential only by a registration (ref §9.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    endpoint: String,
    id_scope: String,
    registration_id: String,
    credential: Fingerprint,
}

#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    #[serde(flatten)]
    question: Question,
    #[serde(flatten)]
    assignment: Assignment,
}

/// The assignment of one device on disk.
#[derive(Debug, Clone)]
pub struct AssignmentFile {
    path: PathBuf,
    question: Question,
}

impl AssignmentFile {
    /// The file of a device whose buffer folder is `folder`.
    #[must_use]
    pub fn new(folder: &Path, dps: &Dps, registration_id: &str, credential: &Fingerprint) -> Self {
        let question = Question {
            endpoint: dps.endpoint.to_string(),
            id_scope: dps.id_scope.to_string(),
            registration_id: registration_id.to_owned(),
            credential: credential.clone(),
        };
        Self { path: folder.join(FILE_NAME), question }
    }

    /// What is remembered, if it answers the same question. A file that cannot be read is as good as none: DPS knows.
    #[must_use]
    pub fn load(&self) -> Option<Assignment> {
        let text = std::fs::read(&self.path).ok()?;
        let remembered: Remembered = serde_json::from_slice(&text).ok()?;
        (remembered.question == self.question).then_some(remembered.assignment)
    }

    /// Remembers an assignment; the file is replaced as a whole.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, assignment: &Assignment) -> std::io::Result<()> {
        let remembered = Remembered { question: self.question.clone(), assignment: assignment.clone() };
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let new = self.path.with_extension("json.new");
        let mut file = std::fs::File::create(&new)?;
        serde_json::to_writer(&mut file, &remembered)?;
        file.sync_all()?;
        std::fs::rename(new, &self.path)
    }

    /// Forgets it.
    pub fn remove(&self) {
        // What cannot be removed is overwritten by the next assignment, and ignored until then by the caller.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_protocol::hub::id::IdScope;

    fn dps(scope: &str) -> Dps {
        Dps {
            endpoint: HostPort::parse("localhost").unwrap(),
            id_scope: IdScope::new(scope).unwrap(),
            registration_id: None,
        }
    }

    #[test]
    fn an_assignment_is_remembered_for_the_same_question_only() {
        let folder = std::env::temp_dir().join(format!("lanyard-assignment-{}", std::process::id()));
        let [one, two] = ["AA", "BB"].map(|text| Fingerprint::from(text.to_owned()));
        let file = AssignmentFile::new(&folder, &dps("0ne1"), "dev-1", &one);
        assert_eq!(file.load(), None);
        let assignment = Assignment {
            assigned_hub: HostPort::parse("localhost:18883").unwrap(),
            device_id: DeviceId::new("dev-1").unwrap(),
        };
        file.save(&assignment).unwrap();
        assert_eq!(file.load(), Some(assignment.clone()));
        assert_eq!(AssignmentFile::new(&folder, &dps("0ne2"), "dev-1", &one).load(), None);
        assert_eq!(AssignmentFile::new(&folder, &dps("0ne1"), "dev-2", &one).load(), None);
        assert_eq!(AssignmentFile::new(&folder, &dps("0ne1"), "dev-1", &two).load(), None);
        std::fs::write(folder.join(FILE_NAME), "{").unwrap();
        assert_eq!(file.load(), None);
        file.save(&assignment).unwrap();
        file.remove();
        assert_eq!(file.load(), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
