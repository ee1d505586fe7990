//! The hub that DPS assigned, stored over restarts. Reads and writes disk: one small file in the device's buffer folder.
//!
//! The file names the server that gets the device's tokens, so it counts only with an HMAC of the device's own key: whoever
//! else may write in the folder cannot send the device elsewhere.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lanyard_handoff::config::Dps;
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::DeviceId;
use lanyard_protocol::hub::key::SymmetricKey;
use serde::{Deserialize, Serialize};

use crate::buffer::files;
use crate::config::credential::Credential;

/// The file's name in the device's buffer folder.
pub const FILE_NAME: &str = "assignment.json";
/// Far more than the file needs.
const LARGEST: u64 = 16 * 1024;
/// Stands before what is signed. Azure has keys sign `…\n…` and registration ids, which have no zero and no slash.
const PURPOSE: &[u8] = b"lanyard.dev/assignment\0";

/// Assignment by DPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The hub to connect to.
    pub assigned_hub: HostPort,
    /// The id at that hub.
    pub device_id: DeviceId,
}

/// A reason not to use a file.
#[derive(Debug, thiserror::Error)]
pub enum AssignmentError {
    /// Present, but unreadable or no regular file.
    #[error("failed to read it: {0}")]
    Read(#[source] io::Error),
    /// Half a file, or something else.
    #[error("it is not an assignment: {0}")]
    Syntax(#[source] serde_json::Error),
    /// An earlier agent wrote it, or another program.
    #[error("it is not signed with the device's key; earlier agents did not sign it")]
    Unsigned,
    /// Another program wrote it, or changed it.
    #[error(
        "its signature is not by the device's key: find out who else may write in the buffer folder, and give each \
            device a folder of its own"
    )]
    Forged,
}

/// Parameters of the request to DPS; an answer to another request is not used. The hub learns a changed credential
/// only by a registration (ref §9.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    endpoint: String,
    id_scope: String,
    registration_id: String,
    credential: Fingerprint,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredAssignment {
    #[serde(flatten)]
    question: Request,
    #[serde(flatten)]
    assignment: Assignment,
    /// HMAC-SHA256 in hexadecimal digits.
    #[serde(default)]
    signature: Option<String>,
}

/// The assignment of one device on disk.
#[derive(Debug)]
pub struct AssignmentFile<'a> {
    path: PathBuf,
    question: Request,
    key: &'a SymmetricKey,
}

impl<'a> AssignmentFile<'a> {
    /// Creates the handle of the file of a device whose buffer folder is `folder`.
    #[must_use]
    pub fn new(folder: &Path, dps: &Dps, registration_id: &str, credential: &'a Credential) -> Self {
        let question = Request {
            endpoint: dps.endpoint.to_string(),
            id_scope: dps.id_scope.to_string(),
            registration_id: registration_id.to_owned(),
            credential: credential.fingerprint.clone(),
        };
        Self { path: folder.join(FILE_NAME), question, key: credential.own_key() }
    }

    /// Reads what is stored, if it answers the same question.
    ///
    /// # Errors
    /// [`AssignmentError`] for a file that the agent did not write with this key, or not whole: DPS knows the answer.
    pub fn load(&self) -> Result<Option<Assignment>, AssignmentError> {
        let text = match files::read(&self.path, LARGEST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(AssignmentError::Read)?,
        };
        let stored: StoredAssignment = serde_json::from_slice(&text).map_err(AssignmentError::Syntax)?;
        if stored.question != self.question {
            return Ok(None);
        }
        let signature = stored.signature.ok_or(AssignmentError::Unsigned)?;
        let message = self.message(&stored.assignment);
        let bytes = bytes(&signature).filter(|bytes| self.key.verifies(&message, bytes));
        bytes.map(|_| Some(stored.assignment)).ok_or(AssignmentError::Forged)
    }

    /// Stores an assignment; the file is replaced as a whole.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, assignment: &Assignment) -> io::Result<()> {
        let signature = Some(hex::encode_upper(self.key.sign(&self.message(assignment))));
        let stored =
            StoredAssignment { question: self.question.clone(), assignment: assignment.clone(), signature };
        if let Some(folder) = self.path.parent() {
            files::make_folder(folder)?;
        }
        let new = self.path.with_extension("json.new");
        let mut file = files::create(&new)?;
        file.write_all(&serde_json::to_vec(&stored)?)?;
        file.sync_all()?;
        std::fs::rename(new, &self.path)
    }

    /// Deletes it.
    pub fn remove(&self) {
        // What cannot be removed is overwritten by the next assignment, and ignored until then by the caller.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Signs question and answer, each part with its length, so that no two files have one message.
    fn message(&self, assignment: &Assignment) -> Vec<u8> {
        let Request { endpoint, id_scope, registration_id, credential } = &self.question;
        let hub = assignment.assigned_hub.to_string();
        let parts =
            [endpoint, id_scope, registration_id, credential.as_str(), &hub, assignment.device_id.as_str()];
        let mut message = PURPOSE.to_vec();
        for part in parts {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        message
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::certificate::Certificate;
    use crate::scratch_folder::ScratchFolder;
    use lanyard_protocol::hub::id::IdScope;

    fn text(folder: &ScratchFolder) -> String {
        std::fs::read_to_string(folder.at(FILE_NAME)).unwrap()
    }

    fn write(folder: &ScratchFolder, text: &str) {
        std::fs::write(folder.at(FILE_NAME), text).unwrap();
    }

    fn dps(scope: &str) -> Dps {
        Dps {
            endpoint: HostPort::parse("localhost").unwrap(),
            id_scope: IdScope::new(scope).unwrap(),
            registration_id: None,
        }
    }

    fn of_key(name: char) -> Credential {
        let key = SymmetricKey::from_base64(&format!("{name}{}=", "A".repeat(42)));
        Credential::of_key(key.unwrap())
    }

    fn of_certificate() -> Credential {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let parsed = Certificate::parse(pem.as_bytes(), key.serialize_pem().as_bytes());
        Credential::of_certificate(parsed.unwrap())
    }

    fn assignment() -> Assignment {
        Assignment {
            assigned_hub: HostPort::parse("localhost:18883").unwrap(),
            device_id: DeviceId::new("dev-1").unwrap(),
        }
    }

    #[test]
    fn assignment_is_stored_for_the_same_question_only() {
        let folder = ScratchFolder::new();
        let [one, two] = ['B', 'C'].map(of_key);
        let file = AssignmentFile::new(folder.path(), &dps("0ne1"), "dev-1", &one);
        assert_eq!(file.load().unwrap(), None);
        file.save(&assignment()).unwrap();
        assert_eq!(file.load().unwrap(), Some(assignment()));
        for (scope, id, credential) in
            [("0ne2", "dev-1", &one), ("0ne1", "dev-2", &one), ("0ne1", "dev-1", &two)]
        {
            let other = AssignmentFile::new(folder.path(), &dps(scope), id, credential);
            assert_eq!(other.load().unwrap(), None);
        }
        write(&folder, "{");
        assert!(matches!(file.load(), Err(AssignmentError::Syntax(_))));
        file.save(&assignment()).unwrap();
        file.remove();
        assert_eq!(file.load().unwrap(), None);
    }

    #[test]
    fn m5_changed_assignment_is_refused() {
        for (name, credential) in [("key", of_key('B')), ("certificate", of_certificate())] {
            let folder = ScratchFolder::new();
            let file = AssignmentFile::new(folder.path(), &dps("0ne1"), "dev-1", &credential);
            file.save(&assignment()).unwrap();
            let text = text(&folder);
            assert_eq!(file.load().unwrap(), Some(assignment()));
            for (old, new) in [
                ("localhost:18883", "evil.example"),
                ("\"deviceId\":\"dev-1\"", "\"deviceId\":\"dev-2\""),
                ("\"signature\":\"", "\"signature\":\"00"),
            ] {
                assert!(text.contains(old), "{text}");
                write(&folder, &text.replacen(old, new, 1));
                assert!(matches!(file.load(), Err(AssignmentError::Forged)), "{name}: {old} became {new}");
            }
            // As agents before this one wrote it.
            let (unsigned, _) = text.split_once(",\"signature\"").unwrap();
            write(&folder, &format!("{unsigned}}}"));
            assert!(matches!(file.load(), Err(AssignmentError::Unsigned)));
        }
    }

    /// Another device of the same DPS, which knows the fingerprint from the file, cannot sign in this one's name.
    #[test]
    fn m5_assignment_signed_by_another_device_is_refused() {
        let folder = ScratchFolder::new();
        let (own, mut other) = (of_key('B'), of_key('C'));
        other.fingerprint = own.fingerprint.clone();
        AssignmentFile::new(folder.path(), &dps("0ne1"), "dev-1", &other).save(&assignment()).unwrap();
        let loaded = AssignmentFile::new(folder.path(), &dps("0ne1"), "dev-1", &own).load();
        assert!(matches!(loaded, Err(AssignmentError::Forged)), "{loaded:?}");
    }

    #[test]
    fn m5_assignment_behind_a_link_is_neither_read_nor_written() {
        let (folder, elsewhere) = (ScratchFolder::new(), ScratchFolder::new());
        let credential = of_key('B');
        let at =
            |folder: &ScratchFolder| AssignmentFile::new(folder.path(), &dps("0ne1"), "dev-1", &credential);
        at(&elsewhere).save(&assignment()).unwrap();
        let held = text(&elsewhere);
        for name in [FILE_NAME, "assignment.json.new"] {
            std::os::unix::fs::symlink(elsewhere.at(FILE_NAME), folder.at(name)).unwrap();
        }
        assert!(matches!(at(&folder).load(), Err(AssignmentError::Read(_))));
        let other = Assignment { device_id: DeviceId::new("dev-2").unwrap(), ..assignment() };
        at(&folder).save(&other).unwrap();
        assert_eq!(at(&folder).load().unwrap(), Some(other));
        assert_eq!(text(&elsewhere), held);
    }
}
