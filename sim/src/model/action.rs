//! What can happen: the closed list of actions, which of them exist within given bounds, and one step.

use super::broker::Broker;
use super::invariant::Invariant;
use super::state::{MAIL_MAX, State};
use super::{Bounds, Doubt, Model, controller, follower, leader, process};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A leader appends a record.
    Produce(Broker),
    /// What a broker has in its log, truncations included, becomes durable.
    Flush(Broker),
    /// A broker learns how things stand at the controller.
    Learn(Broker),
    /// A follower fetches: it truncates where logs part, else it takes a record and the high watermark.
    Fetch(Broker),
    /// A follower tells its durable end.
    Report(Broker),
    /// A leader moves its high watermark and answers producers.
    Advance(Broker),
    /// A leader asks for an ISR with a follower.
    Expand { leader: Broker, follower: Broker },
    /// A leader asks for an ISR without a follower.
    Shrink { leader: Broker, follower: Broker },
    /// A leader that hears nothing asks again.
    Repeat(Broker),
    /// A leader that hears nothing asks for the ISR that it knows.
    Retract(Broker),
    /// A message arrives.
    Deliver(Slot),
    /// The controller takes a broker for dead.
    Fence(Broker),
    /// The controller trusts a broker again.
    Unfence(Broker),
    /// The controller makes a broker the leader, as there is none.
    Elect(Broker),
    /// The controller moves the leadership between members of the ISR.
    Move(Broker),
    /// A broker dies.
    Crash { broker: Broker, loss: Loss },
    /// A dead broker starts and registers.
    Restart(Broker),
}

/// A place for a message under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(pub(super) usize);

/// What a crash leaves of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// What was flushed.
    Unflushed,
    /// The log up to here, although it was not flushed.
    Beyond(u8),
    /// What was flushed, but a torn tail leaves it open whether that is all.
    Doubt,
    /// What was flushed less its last record.
    Rot,
    /// Nothing.
    Everything,
}

/// What an action led to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) state: State,
    /// What the step as such broke, whatever may be said about the state.
    pub(super) broken: Option<Invariant>,
}

impl Action {
    /// All actions that can ever be possible within `bounds`, in a fixed order.
    pub(super) fn all(bounds: &Bounds) -> Vec<Self> {
        let brokers = || (0..bounds.replicas).map(Broker);
        let mut all: Vec<Self> = (0..MAIL_MAX).map(|slot| Self::Deliver(Slot(slot))).collect();
        for broker in brokers() {
            all.extend([
                Self::Produce(broker),
                Self::Flush(broker),
                Self::Learn(broker),
                Self::Fetch(broker),
                Self::Report(broker),
                Self::Advance(broker),
                Self::Repeat(broker),
                Self::Retract(broker),
                Self::Fence(broker),
                Self::Unfence(broker),
                Self::Elect(broker),
                Self::Move(broker),
                Self::Restart(broker),
            ]);
            all.extend(losses(bounds).map(|loss| Self::Crash { broker, loss }));
            for follower in brokers().filter(|follower| *follower != broker) {
                all.push(Self::Expand { leader: broker, follower });
                all.push(Self::Shrink { leader: broker, follower });
            }
        }
        all
    }
}

fn losses(bounds: &Bounds) -> impl Iterator<Item = Loss> {
    let doubt = (bounds.doubt == Doubt::Possible).then_some(Loss::Doubt);
    let rot = (bounds.rots > 0).then_some([Loss::Rot, Loss::Everything]);
    let beyond = (0..=bounds.records).map(Loss::Beyond);
    std::iter::once(Loss::Unflushed).chain(beyond).chain(doubt).chain(rot.into_iter().flatten())
}

impl Model {
    /// What `action` leads to, if it is possible now.
    pub(super) fn step(&self, state: &State, action: Action) -> Option<Step> {
        let mut next = *state;
        let did = self.act(&mut next, action)?;
        self.forget_dead_mail(&mut next);
        Some(Step { state: next, broken: did.err() })
    }

    /// Does it in place. None if it is not possible now, or would change nothing.
    fn act(&self, state: &mut State, action: Action) -> Option<Result<(), Invariant>> {
        match action {
            Action::Fetch(follower) => return follower::fetch(self, state, follower),
            Action::Learn(broker) => return follower::learn(self, state, broker),
            Action::Advance(leader) => return leader::advance(self, state, leader),
            Action::Produce(leader) => leader::produce(self, state, leader)?,
            Action::Flush(broker) => process::flush(state, broker)?,
            Action::Report(follower) => follower::report(self, state, follower)?,
            Action::Expand { leader, follower } => {
                leader::expand(self, state, leader::Pair { leader, follower })?
            }
            Action::Shrink { leader, follower } => {
                leader::shrink(self, state, leader::Pair { leader, follower })?
            }
            Action::Repeat(leader) => leader::repeat(self, state, leader)?,
            Action::Retract(leader) => leader::retract(self, state, leader)?,
            Action::Deliver(slot) => self.deliver(state, slot)?,
            Action::Fence(broker) => controller::fence(self, state, broker)?,
            Action::Unfence(broker) => controller::unfence(state, broker)?,
            Action::Elect(broker) => controller::elect(self, state, broker)?,
            Action::Move(broker) => controller::transfer(self, state, broker)?,
            Action::Crash { broker, loss } => process::crash(self, state, broker, loss)?,
            Action::Restart(broker) => process::restart(self, state, broker)?,
        }
        Some(Ok(()))
    }
}
