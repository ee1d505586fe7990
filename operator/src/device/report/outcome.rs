//! Outcome of a device's reconcile, for its status. Pure.

use std::time::Duration;

use crate::device::apply::written::{Applied, Written};
use crate::device::validate::effective::EffectiveDevice;
use crate::fault::Fault;

/// Outcome of a device's reconcile.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// To the end.
    Applied(Box<EffectiveDevice>, Applied),
    /// A user must fix an error; nothing was written, and existing objects stay.
    Faulty(Fault),
    /// To the device's first private key, which is being made.
    Making,
    /// The device was taken away from the hub.
    Withdrawn(Fault),
}

impl Outcome {
    /// Returns the first error that a user must fix.
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

    /// Returns whether another program connects the device.
    #[must_use]
    pub fn wants_no_agent(&self) -> bool {
        matches!(self, Self::Applied(_, Applied { workload: Ok(Written::Absent), .. }))
    }

    /// Returns the time to wait for an object to end, or for repairs to calm down.
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
