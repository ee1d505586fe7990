//! Environment of the issue stage: new keys, random numbers, rollover turns and the time. In memory.

use jiff::Timestamp;
use lanyard_crds::ProvisioningGroup;
use lanyard_crds::group::Rollover;
use lanyard_crds::status::CredentialsProof;
use lanyard_handoff::fingerprint::Fingerprint;

use crate::clock;
use crate::credential::change::refused;
use crate::credential::pair::{KeyKind, Pair, PairError};
use crate::credential::rollover_queue::{PAUSING_REFUSALS, Pace, RolloverTurn};
use crate::device::apply::written::{Applied, Written};
use crate::device::context::DeviceContext;
use crate::device::issue::credential::Environment;
use crate::device::observe::observation::DeviceObservation;
use crate::kubernetes::key::Key;
use crate::random;

/// Keys, random numbers and turns for one device.
pub(crate) struct ReconcileEnvironment<'a> {
    context: &'a DeviceContext,
    group: Option<&'a ProvisioningGroup>,
    device: Key,
}

impl<'a> ReconcileEnvironment<'a> {
    pub(crate) fn new(context: &'a DeviceContext, observed: &'a DeviceObservation) -> Self {
        Self { context, group: observed.group.as_deref(), device: Key::of(&*observed.device) }
    }

    /// Records the result for the credentials: an agent with an unproven credential is polled more often, a used turn
    /// is returned, and a stored key is dropped from the generator.
    pub(crate) fn applied(&self, applied: &Applied) {
        let DeviceContext { agents, turns, key_generator, .. } = self.context;
        agents.untried(&self.device, applied.issued.proof == CredentialsProof::Untried);
        let written = matches!(
            applied.credentials,
            Ok(Written::Created | Written::Updated { .. } | Written::Unchanged)
        );
        if written {
            key_generator.stored(&self.device);
        }
        if let (Some(group), None, true) = (self.group, applied.issued.pending, written) {
            turns.done(&Key::of(group), &self.device);
        }
    }
}

impl Environment for ReconcileEnvironment<'_> {
    fn pair(&self, kind: KeyKind) -> Result<Option<Pair>, PairError> {
        self.context.key_generator.pair(&self.device, kind)
    }

    fn serial(&self) -> [u8; 16] {
        random::random()
    }

    fn turn(&self, to: &Fingerprint) -> RolloverTurn {
        let Some(group) = self.group else { return RolloverTurn::Now };
        let rollover = group.spec.rollover.as_ref().and_then(|rollover| rollover.devices_per_minute);
        let per_minute = rollover.unwrap_or(Rollover::DEFAULT_DEVICES_PER_MINUTE);
        let group = Key::of(group);
        let paused = || {
            let devices = self.context.view.devices_of(&group);
            devices.iter().filter(|device| refused(device, to)).take(PAUSING_REFUSALS).count()
                >= PAUSING_REFUSALS
        };
        self.context.turns.ask(&group, &self.device, Pace { to, per_minute }, clock::instant(), paused)
    }

    fn now(&self) -> Timestamp {
        clock::timestamp()
    }
}
