//! Outcome of a device's reconcile, for its status. Pure.

use std::time::Duration;

use super::validate::Valid;
use crate::device::written::{Applied, Written};
use crate::fault::Fault;

/// How far a look at a device came.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// To the end.
    Applied(Box<Valid>, Applied),
    /// To something that somebody has to change; nothing was written, and what is there stays.
    Faulty(Fault),
    /// To the device's first private key, which is being made.
    Making,
    /// The device was taken away from the hub.
    Withdrawn(Fault),
}

impl Outcome {
    /// The first thing that somebody has to change.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Making => None,
            Self::Faulty(fault) | Self::Withdrawn(fault) => Some(fault),
            Self::Applied(_, Applied { issued: _, credentials, configuration, workload }) => {
                [credentials, configuration, workload].into_iter().find_map(|written| written.as_ref().err())
            }
        }
    }

    /// Whether something else connects the device.
    #[must_use]
    pub fn wants_no_agent(&self) -> bool {
        matches!(self, Self::Applied(_, Applied { workload: Ok(Written::Absent), .. }))
    }

    /// How long to wait when something has to end or calm down first.
    #[must_use]
    pub fn waits(&self) -> Option<Duration> {
        let Self::Applied(_, Applied { issued: _, credentials, configuration, workload }) = self else {
            return None;
        };
        let waits = [credentials, configuration, workload].into_iter().filter_map(|written| match written {
            Ok(Written::Waiting(_)) => Some(Duration::ZERO),
            Ok(Written::Contested(_, wait)) => Some(*wait),
            _ => None,
        });
        waits.min()
    }
}
