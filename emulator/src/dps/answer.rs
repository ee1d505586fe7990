//! Answers of DPS: topic and JSON body (ref §8.2, §8.3). Pure.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use lanyard_protocol::hub::dps::{CertificateInfo, OperationStatus, ServiceError};
use lanyard_protocol::hub::topic::FromDps;

use crate::random;
use crate::x509::certificate::Certificate;
use crate::x509::thumbprint::Thumbprint;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP-like.
    pub status: u16,
    /// Seconds to wait before asking again.
    pub retry_after: Option<u64>,
    /// JSON.
    pub body: String,
}

impl Answer {
    /// Returns the answer of an operation in progress: the device asks again after `retry_after` seconds.
    #[must_use]
    pub fn accepted(operation: &OperationStatus, retry_after: u64) -> Self {
        Self { status: 202, retry_after: Some(retry_after), body: text(operation) }
    }

    /// Returns the final answer of an operation.
    #[must_use]
    pub fn done(operation: &OperationStatus) -> Self {
        Self { status: 200, retry_after: None, body: text(operation) }
    }

    /// Returns the answer with an error. Its status is the code's first three digits (ref §8.3).
    #[must_use]
    pub fn error(error_code: u32, message: &str, now: Timestamp) -> Self {
        let body = ServiceError {
            error_code,
            tracking_id: guid(random::random()),
            message: message.to_owned(),
            timestamp_utc: time(now),
        };
        Self { status: u16::try_from(error_code / 1000).unwrap_or(500), retry_after: None, body: text(&body) }
    }

    /// Returns the topic of the answer, with the request's `$rid` first (ref §0.3 rule 4).
    #[must_use]
    pub fn topic(&self, rid: &str) -> String {
        FromDps { status: self.status, rid, retry_after: self.retry_after }.to_string()
    }
}

fn text(body: &impl serde::Serialize) -> String {
    serde_json::to_string(body).expect("texts, numbers and enums become JSON")
}

/// Formats a time as DPS does, with seven digits after the decimal point.
#[must_use]
pub fn time(timestamp: Timestamp) -> String {
    let mut text = String::with_capacity(28);
    match DateTimePrinter::new().precision(Some(7)).print_timestamp(&timestamp, &mut text) {
        Ok(()) => text,
        Err(_) => timestamp.to_string(),
    }
}

/// Returns the description of a certificate (ref §11.5).
#[must_use]
pub fn info(certificate: &Certificate) -> CertificateInfo {
    CertificateInfo {
        subject_name: certificate.subject.to_string(),
        sha1_thumbprint: Thumbprint::sha1(certificate.der()).to_string(),
        sha256_thumbprint: Thumbprint::sha256(certificate.der()).to_string(),
        issuer_name: certificate.issuer.to_string(),
        not_before_utc: time(certificate.not_before),
        not_after_utc: time(certificate.not_after),
        serial_number: certificate.serial.clone(),
        version: certificate.version,
    }
}

/// Formats a random number as a GUID: `8-4-4-4-12` hexadecimal digits.
#[must_use]
pub fn guid(random: u128) -> String {
    let digits = format!("{random:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// Returns an operation id, `{n}.{16 hexadecimal digits}.{guid}`: nothing in it needs encoding in a topic (ref §8.2).
#[must_use]
pub fn operation_id(random: u64, guid_random: u128) -> String {
    format!("5.{random:016x}.{}", guid(guid_random))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_protocol::hub::dps::{ERROR_UNAUTHORIZED, RegistrationStatus};

    /// Ref §8.2, §8.3.
    #[test]
    fn answers_have_the_form_of_azures() {
        let operation_id = operation_id(0x316a_ac5b_dc13_0deb, 0xb1e0_2da8_c3a0_4ff2_a121_7ea7_a6b7_f550);
        assert_eq!(operation_id, "5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550");
        let operation =
            OperationStatus { operation_id, status: RegistrationStatus::Assigning, registration_state: None };
        let answer = Answer::accepted(&operation, 3);
        assert_eq!(answer.topic("2"), "$dps/registrations/res/202/?$rid=2&retry-after=3");
        assert_eq!(
            answer.body,
            r#"{"operationId":"5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550","status":"assigning"}"#
        );
        let error = Answer::error(
            ERROR_UNAUTHORIZED,
            "Unauthorized",
            Timestamp::from_nanosecond(1_586_499_862_471_852_699).unwrap(),
        );
        assert_eq!(error.topic("1"), "$dps/registrations/res/401/?$rid=1");
        assert!(error.body.starts_with(r#"{"errorCode":401002,"trackingId":""#), "{}", error.body);
        assert!(
            error
                .body
                .ends_with(r#""message":"Unauthorized","timestampUtc":"2020-04-10T06:24:22.4718526Z"}"#),
            "{}",
            error.body
        );
    }
}
