//! One enrollment, and what it means for a device (ref §3, §11.5). Pure.

use std::sync::Arc;

use super::authentication::Authentication;
use super::terms::Terms;
use crate::x509::certificate::Certificate;

/// Kind of an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrollmentKind {
    /// For many devices.
    Group,
    /// For one device.
    Individual,
}

/// One device, enrolled by itself.
#[derive(Debug, Clone)]
pub struct Individual {
    /// Its id at the hub, when that differs from the registration id.
    pub device_id: Option<String>,
    /// The terms.
    pub terms: Terms,
}

/// Many devices, enrolled together.
#[derive(Debug, Clone)]
pub struct Group {
    /// `enrollmentGroupId`.
    pub id: Arc<str>,
    /// The terms.
    pub terms: Terms,
}

/// The enrollment that a registration belongs to.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// The group, unless the device is enrolled by itself.
    pub group: Option<Arc<str>>,
    /// The id at the hub.
    pub device_id: String,
    /// Authentication that the hub accepts: the device's keys (ref §8.6), or the certificate that it presented. The
    /// hub identifies a certificate by its thumbprint, so it accepts a renewed certificate only after a new
    /// registration (ref §9.3).
    pub authentication: Authentication,
    /// The certificate it attested itself with, if it was one.
    pub certificate: Option<Certificate>,
    /// The terms.
    pub terms: Terms,
}

impl Enrolled {
    /// Returns the enrollment with the certificate by which the device attested itself.
    #[must_use]
    pub fn with(self, certificate: Certificate) -> Self {
        Self { certificate: Some(certificate), ..self }
    }
}

impl Individual {
    /// Returns the enrollment of its device. The registration id is also the device id unless another one is set.
    #[must_use]
    pub fn enroll(&self, registration_id: &str, authentication: Authentication) -> Enrolled {
        Enrolled {
            group: None,
            device_id: self.device_id.clone().unwrap_or_else(|| registration_id.to_owned()),
            authentication,
            certificate: None,
            terms: self.terms.clone(),
        }
    }
}

impl Group {
    /// Returns the enrollment of one of its devices, whose device id is the registration id.
    #[must_use]
    pub fn enroll(&self, registration_id: &str, authentication: Authentication) -> Enrolled {
        Enrolled {
            group: Some(self.id.clone()),
            device_id: registration_id.to_owned(),
            authentication,
            certificate: None,
            terms: self.terms.clone(),
        }
    }
}
