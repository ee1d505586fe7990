//! A DPS instance: registers devices, assigns each to a hub, and answers its polls (ref §8). In memory, with a journal.

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use lanyard_protocol::hub::dps::{
    ERROR_BAD_REQUEST, ERROR_NO_HUB, ERROR_NOT_FOUND, ERROR_UNAUTHORIZED, OperationStatus, RegisterRequest,
    RegistrationState, RegistrationStatus, SymmetricKeyRegistration, X509Registration,
};

use super::answer::{Answer, info, operation_id, time};
use super::assignment::Assignment;
use super::attestation::AttestationError;
use crate::hub::hubs::Hub;
use crate::journal::Journal;
use crate::random;
use crate::registry::device::RegisteredDevice;
use crate::registry::enrollment::Enrolled;
use crate::registry::enrollments::Enrollments;
use crate::registry::terms::{Allocation, Reprovisioning};
use crate::x509::certificate::Certificate;
use crate::x509::thumbprint::Thumbprint;

/// Settings of the configuration for all DPS instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Number of polls until a device learns its hub; 0 answers at once.
    pub polls: u32,
    /// Seconds it is asked to wait.
    pub retry_after: u64,
}

/// Defaults of an instance for its enrollments.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The names of the linked hubs.
    pub hubs: Vec<Arc<str>>,
    /// Policy that chooses one of them.
    pub allocation: Allocation,
}

/// A DPS instance.
#[derive(Debug)]
pub struct Dps {
    /// `0ne…`.
    pub id_scope: String,
    /// For enrollments that name no hubs and no policy.
    pub defaults: Defaults,
    enrollments: RwLock<Enrollments>,
    /// All there are: a device may belong to one that its enrollment no longer names.
    hubs: Vec<Arc<Hub>>,
    pace: Pace,
    records: Mutex<HashMap<String, Record>>,
    journal: Option<Arc<Journal<Assignment>>>,
}

#[derive(Debug, Clone)]
struct Record {
    assignment: Option<Assignment>,
    /// Address that the device connects to; unlike the hub's name, it includes a port.
    address: String,
    /// With which it registered last, since the emulator started.
    certificate: Option<Certificate>,
    operation: Option<Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    id: String,
    polls_left: u32,
}

impl Dps {
    /// Creates an instance without enrollments or registrations.
    #[must_use]
    pub fn new(
        id_scope: String,
        defaults: Defaults,
        hubs: Vec<Arc<Hub>>,
        pace: Pace,
        journal: Option<Arc<Journal<Assignment>>>,
    ) -> Self {
        let (enrollments, records) = (RwLock::default(), Mutex::default());
        Self { id_scope, defaults, enrollments, hubs, pace, records, journal }
    }

    /// Returns the enrollments.
    pub fn enrollments(&self) -> RwLockReadGuard<'_, Enrollments> {
        self.enrollments.read()
    }

    /// Returns the enrollments for a change.
    pub fn change_enrollments(&self) -> RwLockWriteGuard<'_, Enrollments> {
        self.enrollments.write()
    }

    /// Restores an assignment of an earlier run, if its enrollment and hub still exist.
    pub fn restore(&self, assignment: Assignment) {
        let thumbprint = assignment.thumbprint.as_deref().and_then(|text| Thumbprint::parse(text).ok());
        let group = assignment.group.as_deref();
        let enrolled = self.enrollments().find(&assignment.registration_id, group, thumbprint.as_ref());
        let (Some(enrolled), Some(hub)) = (enrolled, self.hub(&assignment.hub)) else { return };
        hub.put(RegisteredDevice {
            id: assignment.device_id.clone(),
            authentication: enrolled.authentication,
            enabled: true,
        });
        let key = assignment.registration_id.to_ascii_lowercase();
        let record = Record {
            assignment: Some(assignment),
            address: hub.address.clone(),
            certificate: None,
            operation: None,
        };
        self.records().insert(key, record);
    }

    /// Answers a registration of `registration_id`, attested or not.
    pub fn register(
        &self,
        registration_id: &str,
        attested: &Result<Enrolled, AttestationError>,
        body: &[u8],
        now: Timestamp,
    ) -> Answer {
        let enrolled = match attested {
            Ok(enrolled) => enrolled,
            Err(error) => return Answer::error(ERROR_UNAUTHORIZED, error.message(), now),
        };
        if let Err(message) = check_request(body, registration_id) {
            return Answer::error(ERROR_BAD_REQUEST, &message, now);
        }
        if !enrolled.terms.enabled {
            return disabled(registration_id);
        }
        let operation =
            Operation { id: operation_id(random::random(), random::random()), polls_left: self.pace.polls };
        let earlier = self
            .records()
            .get(&registration_id.to_ascii_lowercase())
            .and_then(|record| record.assignment.clone());
        let (assignment, address) = self.assign(registration_id, enrolled, earlier, now).unzip();
        let record = Record {
            assignment,
            address: address.unwrap_or_default(),
            certificate: enrolled.certificate.clone(),
            operation: Some(operation),
        };
        let answer = if self.pace.polls == 0 {
            outcome(registration_id, &record)
        } else {
            self.in_progress(registration_id, &record, true)
        };
        self.records().insert(registration_id.to_ascii_lowercase(), record);
        answer
    }

    /// Answers the question how far a registration is.
    pub fn poll(
        &self,
        registration_id: &str,
        attested: &Result<Enrolled, AttestationError>,
        operation_id: &str,
        now: Timestamp,
    ) -> Answer {
        if let Err(error) = attested {
            return Answer::error(ERROR_UNAUTHORIZED, error.message(), now);
        }
        let mut records = self.records();
        let known = records.get_mut(&registration_id.to_ascii_lowercase());
        let known = known
            .filter(|record| record.operation.as_ref().is_some_and(|operation| operation.id == operation_id));
        let Some(record) = known else { return Answer::error(ERROR_NOT_FOUND, "Operation not found.", now) };
        if let Some(operation) = &mut record.operation {
            operation.polls_left = operation.polls_left.saturating_sub(1);
            if operation.polls_left > 0 {
                return self.in_progress(registration_id, record, false);
            }
        }
        outcome(registration_id, record)
    }

    /// Returns the number of devices that were assigned to a hub.
    #[must_use]
    pub fn assigned(&self) -> usize {
        self.records().values().filter(|record| record.assignment.is_some()).count()
    }

    /// Chooses the hub, makes the device known there, and remembers it. A registration that comes again stays where it
    /// is, unless it belongs elsewhere by now and its terms let it move (ref §9.4).
    fn assign(
        &self,
        registration_id: &str,
        enrolled: &Enrolled,
        earlier: Option<Assignment>,
        now: Timestamp,
    ) -> Option<(Assignment, String)> {
        let chosen = enrolled.terms.choose(registration_id).and_then(|name| self.hub(name));
        let stays = earlier.as_ref().filter(|earlier| {
            enrolled.terms.reprovisioning == Reprovisioning::Never
                || chosen.is_some_and(|hub| *hub.name == *earlier.hub)
        });
        let hub = match stays {
            Some(earlier) => self.hub(&earlier.hub)?,
            None => chosen?,
        };
        if let Some(left) = earlier.as_ref().filter(|earlier| *earlier.hub != *hub.name)
            && let Some(former) = self.hub(&left.hub)
        {
            former.remove(&left.device_id);
        }
        hub.put(RegisteredDevice {
            id: enrolled.device_id.clone(),
            authentication: enrolled.authentication.clone(),
            enabled: true,
        });
        let substatus = match (&earlier, stays) {
            (_, Some(same)) => same.substatus.clone(),
            (Some(_), None) => enrolled.terms.reprovisioning.substatus().to_owned(),
            (None, None) => "initialAssignment".to_owned(),
        };
        let assignment = Assignment {
            id_scope: self.id_scope.clone(),
            registration_id: registration_id.to_owned(),
            group: enrolled.group.as_deref().map(str::to_owned),
            hub: hub.name.to_string(),
            device_id: enrolled.device_id.clone(),
            substatus,
            thumbprint: enrolled.certificate.as_ref().map(thumbprint),
            created: earlier.as_ref().map_or(now, |earlier| earlier.created),
            updated: now,
        };
        if earlier.is_none_or(|earlier| Assignment { updated: now, ..earlier } != assignment) {
            self.store(&assignment);
        }
        Some((assignment, hub.address.clone()))
    }

    fn store(&self, assignment: &Assignment) {
        if let Some(Err(error)) = self.journal.as_ref().map(|journal| journal.append(assignment)) {
            let (error, registration_id): (&dyn std::error::Error, _) = (&error, &assignment.registration_id);
            tracing::error!(
                error,
                registration_id,
                "failed to store the assignment; it is lost at the next start"
            );
        }
    }

    /// Returns the answer of a registration in progress: without details first, with them in answers to polls
    /// (ref §8.2).
    fn in_progress(&self, registration_id: &str, record: &Record, first: bool) -> Answer {
        let status = RegistrationStatus::Assigning;
        let registration_state = (!first).then(|| state(registration_id, status));
        let operation_id =
            record.operation.as_ref().map(|operation| operation.id.clone()).unwrap_or_default();
        Answer::accepted(&OperationStatus { operation_id, status, registration_state }, self.pace.retry_after)
    }

    fn hub(&self, name: &str) -> Option<&Arc<Hub>> {
        self.hubs.iter().find(|hub| *hub.name == *name)
    }

    fn records(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.records.lock()
    }
}

fn thumbprint(certificate: &Certificate) -> String {
    Thumbprint::sha256(certificate.der()).to_string()
}

fn outcome(registration_id: &str, record: &Record) -> Answer {
    let operation_id = record.operation.as_ref().map(|operation| operation.id.clone()).unwrap_or_default();
    let state = match &record.assignment {
        Some(assignment) => assigned_state(assignment, record),
        None => RegistrationState {
            error_code: Some(ERROR_NO_HUB),
            error_message: Some("No IoT hub is linked that the enrollment allows.".to_owned()),
            ..state(registration_id, RegistrationStatus::Failed)
        },
    };
    Answer::done(&OperationStatus { operation_id, status: state.status, registration_state: Some(state) })
}

fn assigned_state(assignment: &Assignment, record: &Record) -> RegistrationState {
    let enrollment_group_id = assignment.group.clone();
    let (symmetric_key, x509) = match &record.certificate {
        Some(certificate) => {
            (None, Some(X509Registration { enrollment_group_id, certificate_info: Some(info(certificate)) }))
        }
        None => (Some(SymmetricKeyRegistration { enrollment_group_id }), None),
    };
    RegistrationState {
        created_date_time_utc: Some(time(assignment.created)),
        assigned_hub: Some(record.address.clone()),
        device_id: Some(assignment.device_id.clone()),
        substatus: Some(assignment.substatus.clone()),
        last_updated_date_time_utc: Some(time(assignment.updated)),
        etag: Some(etag(assignment)),
        symmetric_key,
        x509,
        ..state(&assignment.registration_id, RegistrationStatus::Assigned)
    }
}

/// Checks that a body is JSON, and that its id is the one of the user name, in any case (ref §3.3).
fn check_request(body: &[u8], registration_id: &str) -> Result<(), String> {
    let request: RegisterRequest = serde_json::from_slice(body)
        .map_err(|error| format!("The request body is not a registration: {error}."))?;
    if request.registration_id.eq_ignore_ascii_case(registration_id) {
        Ok(())
    } else {
        Err("The registrationId of the body is not the one of the connection.".to_owned())
    }
}

/// Returns the answer for a disabled enrollment, with topic status 200 and no operation (ref §8.2).
fn disabled(registration_id: &str) -> Answer {
    let status = RegistrationStatus::Disabled;
    let registration_state = Some(state(registration_id, status));
    Answer::done(&OperationStatus { operation_id: String::new(), status, registration_state })
}

fn state(registration_id: &str, status: RegistrationStatus) -> RegistrationState {
    RegistrationState {
        registration_id: registration_id.to_owned(),
        created_date_time_utc: None,
        assigned_hub: None,
        device_id: None,
        status,
        substatus: None,
        error_code: None,
        error_message: None,
        last_updated_date_time_utc: None,
        etag: None,
        payload: None,
        symmetric_key: None,
        x509: None,
    }
}

/// Returns the etag of an assignment: base64 of a quoted version, as DPS writes it.
fn etag(assignment: &Assignment) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(format!("\"{:x}\"", assignment.updated.as_microsecond()))
}
