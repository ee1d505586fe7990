//! Bodies of DPS requests and answers (ref §8.2, §8.3). Pure.

use serde::{Deserialize, Serialize};

/// Body of a registration. Python writes `"payload":null` when it has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterRequest {
    /// Registration id, as in the user name.
    pub registration_id: String,
    /// Custom JSON for the allocation, such as `{"modelId":"dtmi:…;1"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
}

impl RegisterRequest {
    /// Returns a request with the device's model id, if it has one.
    #[must_use]
    pub fn new(registration_id: &str, model_id: Option<&str>) -> Self {
        Self {
            registration_id: registration_id.to_owned(),
            payload: model_id.map(|id| serde_json::json!({ "modelId": id })),
        }
    }
}

/// Status of a registration. DPS writes it in lower case; parsing ignores case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationStatus {
    /// The registration has no hub.
    #[serde(alias = "Unassigned")]
    Unassigned,
    /// The registration is in progress: poll.
    #[serde(alias = "Assigning")]
    Assigning,
    /// DPS assigned a hub.
    #[serde(alias = "Assigned")]
    Assigned,
    /// The registration failed; see `errorCode`.
    #[serde(alias = "Failed")]
    Failed,
    /// The enrollment is disabled.
    #[serde(alias = "Disabled")]
    Disabled,
}

/// Body of every answer below status 300.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// Id for polling; empty if the enrollment is disabled.
    #[serde(default)]
    pub operation_id: String,
    /// Status of the registration.
    pub status: RegistrationStatus,
    /// Details of the registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<RegistrationState>,
}

/// State of a registration at DPS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationState {
    /// Registration id of the device.
    #[serde(default)]
    pub registration_id: String,
    /// First registration, ISO 8601 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date_time_utc: Option<String>,
    /// Host name of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<String>,
    /// Id of the device at the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Status of the registration.
    pub status: RegistrationStatus,
    /// `initialAssignment`, `deviceDataMigrated` or `deviceDataReset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substatus: Option<String>,
    /// Code of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// Text of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Last change, ISO 8601 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_date_time_utc: Option<String>,
    /// Version of the registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Result of a custom allocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    /// Enrollment group of a device that attested by symmetric key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<SymmetricKeyRegistration>,
    /// Enrollment group of a device that attested by certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509: Option<X509Registration>,
}

/// Enrollment group of a symmetric-key registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymmetricKeyRegistration {
    /// The enrollment group; absent for an individual enrollment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
}

/// Certificates and enrollment group of an X.509 registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct X509Registration {
    /// The enrollment group; absent for an individual enrollment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    /// Presented certificate; absent in some answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_info: Option<CertificateInfo>,
}

/// Certificate as DPS describes it (ref §11.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateInfo {
    /// Subject of the certificate.
    pub subject_name: String,
    /// Hexadecimal digits.
    pub sha1_thumbprint: String,
    /// Hexadecimal digits.
    pub sha256_thumbprint: String,
    /// Issuer of the certificate.
    pub issuer_name: String,
    /// ISO 8601 UTC.
    pub not_before_utc: String,
    /// ISO 8601 UTC.
    pub not_after_utc: String,
    /// Hexadecimal digits.
    pub serial_number: String,
    /// 1 or 3.
    pub version: u32,
}

/// Body of every answer from status 300; the status is `errorCode / 1000` (ref §8.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceError {
    /// Code of the error, such as 401002.
    pub error_code: u32,
    /// Id for Microsoft's support.
    #[serde(default)]
    pub tracking_id: String,
    /// Text of the error.
    #[serde(default)]
    pub message: String,
    /// Time of the answer, ISO 8601 UTC.
    #[serde(default)]
    pub timestamp_utc: String,
}

/// A key or certificate that DPS does not accept, or an id scope it does not know (ref §8.3).
pub const ERROR_UNAUTHORIZED: u32 = 401_002;
/// A body that DPS cannot read, or whose id differs from the user name's (ref §8.3: the 400xxx pattern).
pub const ERROR_BAD_REQUEST: u32 = 400_004;
/// The allocation names no hub (ref §8.3).
pub const ERROR_NO_HUB: u32 = 400_208;
/// IoT Central: waiting for approval, or blocked (ref §8.3, §10.5).
pub const ERROR_ALLOCATION_UNAUTHORIZED: u32 = 400_209;
/// The enrollment or registration does not exist (ref §8.3).
pub const ERROR_NOT_FOUND: u32 = 404_201;
/// Too many requests (ref §8.3).
pub const ERROR_THROTTLED: u32 = 429_001;

#[cfg(test)]
mod tests {
    use super::*;

    /// Ref §8.2, "Assigned".
    #[test]
    fn assigned_body_is_read() {
        let body = r#"{"operationId":"5.316aac5bdc130deb.b1e02da8-","status":"assigned",
 "registrationState":{"x509":null,"registrationId":"dev1","createdDateTimeUtc":"2022-08-31T22:02:50.5163352Z",
  "assignedHub":"contoso.azure-devices.net","deviceId":"dev1","status":"assigned","substatus":"initialAssignment",
  "lastUpdatedDateTimeUtc":"2022-08-31T22:02:50.7370676Z","etag":"IjY5MDAzNTUyLTAwMDAtMDMwMC0wMDAwLTYzMGZkYThhMDAwMCI=","payload":{"any":"json"}}}"#;
        let read: OperationStatus = serde_json::from_str(body).unwrap();
        let state = read.registration_state.unwrap();
        assert_eq!(read.status, RegistrationStatus::Assigned);
        assert_eq!(state.assigned_hub.as_deref(), Some("contoso.azure-devices.net"));
        assert_eq!(
            (state.device_id.as_deref(), state.substatus.as_deref()),
            (Some("dev1"), Some("initialAssignment"))
        );
    }

    /// Ref §8.2 and §11.5: `x509` is absent, empty or has a certificate.
    #[test]
    fn x509_registrations_are_read() {
        let read = |x509: &str| {
            let state = format!(r#"{{"status":"assigned","x509":{x509}}}"#);
            serde_json::from_str::<RegistrationState>(&state).unwrap().x509
        };
        let empty = X509Registration { enrollment_group_id: None, certificate_info: None };
        assert_eq!((read("null"), read("{}")), (None, Some(empty)));
        let full = read(r#"{"enrollmentGroupId":"g","certificateInfo":{"subjectName":"CN=a","version":3}}"#);
        let info = CertificateInfo { subject_name: "CN=a".into(), version: 3, ..CertificateInfo::default() };
        let expected =
            X509Registration { enrollment_group_id: Some("g".into()), certificate_info: Some(info) };
        assert_eq!(full, Some(expected));
    }

    /// Ref §8.2: answers in progress, and answers without a hub.
    #[test]
    fn other_bodies_are_read() {
        let read = |body| serde_json::from_str::<OperationStatus>(body).unwrap();
        let started = read(
            r#"{"operationId":"5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550","status":"assigning"}"#,
        );
        assert_eq!((started.status, started.registration_state), (RegistrationStatus::Assigning, None));
        let disabled = read(
            r#"{"operationId":"","status":"disabled","registrationState":{"registrationId":"dev1","status":"disabled"}}"#,
        );
        assert_eq!(disabled.status, RegistrationStatus::Disabled);
        let failed = read(
            r#"{"operationId":"5.a","status":"failed","registrationState":{"registrationId":"dev1","status":"failed","errorCode":400207,"errorMessage":"Custom allocation failed with status code: 400"}}"#,
        );
        assert_eq!(failed.registration_state.unwrap().error_code, Some(400_207));
        let error: ServiceError = serde_json::from_str(
            r#"{"errorCode":401002,"trackingId":"8ad0463c-6427-4479-9dfa-3e8bb7003e9b","message":"Invalid certificate.","timestampUtc":"2020-04-10T05:24:22.4718526Z"}"#,
        )
        .unwrap();
        assert_eq!((error.error_code, error.message.as_str()), (ERROR_UNAUTHORIZED, "Invalid certificate."));
    }

    /// Ref §14.4: what the SDKs send.
    #[test]
    fn requests_of_the_sdks_are_read() {
        let read = |body| serde_json::from_str::<RegisterRequest>(body).unwrap();
        assert_eq!(
            read(r#"{"payload": null, "registrationId": "dev1"}"#),
            RegisterRequest::new("dev1", None)
        );
        assert_eq!(read(r#"{"registrationId":"dev1"}"#), RegisterRequest::new("dev1", None));
        assert_eq!(
            read(r#"{"payload": {"modelId": "dtmi:com:example:Thermostat;1"}, "registrationId": "dev1"}"#),
            RegisterRequest::new("dev1", Some("dtmi:com:example:Thermostat;1"))
        );
        assert_eq!(
            serde_json::to_string(&RegisterRequest::new("dev1", None)).unwrap(),
            r#"{"registrationId":"dev1"}"#
        );
    }
}
