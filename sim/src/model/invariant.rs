//! What must hold: the predicates that a single partition has, by their names.

use std::fmt;

use super::Model;
use super::broker::{Broker, Brokers};
use super::state::{Health, Life, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    LeaderCompleteness,
    CandidateCompleteness,
    LogMatching,
    QuorumSuperset,
    AckedDurable,
    NoGlobalLoss,
    HwMonotone,
    OneLeaderPerEpoch,
    ElrEmptyWhenHealthy,
    UncleanExclusion,
    NoTruncateBelowHw,
}

impl Invariant {
    pub fn sentence(self) -> &'static str {
        match self {
            Self::LeaderCompleteness => "the leader lacks a committed record",
            Self::CandidateCompleteness => {
                "a member of the ISR or the ELR lacks a committed record on its disk"
            }
            Self::LogMatching => "two logs differ below both their high watermarks",
            Self::QuorumSuperset => "the controller could elect a broker that its leader does not wait for",
            Self::AckedDurable => {
                "an answered record is not durable on all members of the maximal ISR, or on too few"
            }
            Self::NoGlobalLoss => "a committed record is on no replica",
            Self::HwMonotone => "two records were committed at one offset",
            Self::OneLeaderPerEpoch => "two brokers lead in one epoch",
            Self::ElrEmptyWhenHealthy => "the ISR and the ELR are not what they may be together",
            Self::UncleanExclusion => "a broker that may lack durable records is trusted before it caught up",
            Self::NoTruncateBelowHw => "a follower truncates below its own high watermark",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A predicate of one state.
type Predicate = fn(&Model, &State) -> bool;

/// The predicates of a state. Those of a step (`AckedDurable`, `HwMonotone`, `NoTruncateBelowHw`) are told by the step.
const PREDICATES: [(Invariant, Predicate); 8] = [
    (Invariant::OneLeaderPerEpoch, one_leader_per_epoch),
    (Invariant::ElrEmptyWhenHealthy, elr_empty_when_healthy),
    (Invariant::UncleanExclusion, unclean_exclusion),
    (Invariant::LeaderCompleteness, leader_completeness),
    (Invariant::CandidateCompleteness, candidate_completeness),
    (Invariant::QuorumSuperset, quorum_superset),
    (Invariant::NoGlobalLoss, no_global_loss),
    (Invariant::LogMatching, log_matching),
];

impl Model {
    pub(super) fn broken(&self, state: &State) -> Option<Invariant> {
        structure_holds(self, state);
        PREDICATES.iter().find(|(_, holds)| !holds(self, state)).map(|(invariant, _)| *invariant)
    }

    fn brokers(&self) -> impl Iterator<Item = Broker> {
        (0..self.bounds.replicas).map(Broker)
    }
}

/// What no rule could break: a failure here is a mistake of the model.
fn structure_holds(model: &Model, state: &State) {
    for broker in model.brokers() {
        let replica = state.replica(broker);
        assert!(replica.durable_end <= replica.log.end());
        assert!(replica.high_watermark <= replica.log.end());
        assert!(replica.disk.begins_with(replica.log.until(replica.durable_end)));
    }
}

fn leader_completeness(_: &Model, state: &State) -> bool {
    let leader = state.controller.leader.filter(|leader| state.runs(*leader));
    leader.is_none_or(|leader| state.replica(leader).log.begins_with(state.committed))
}

/// A dead candidate counts too, unless a disk has lost something: then it is for the dead one to tell when it registers.
fn candidate_completeness(_: &Model, state: &State) -> bool {
    let candidates = state.controller.isr.or(state.controller.elr);
    candidates.each().filter(|candidate| state.runs(*candidate) || state.spent.rots == 0).all(|candidate| {
        let replica = state.replica(candidate);
        replica.log.until(replica.durable_end).begins_with(state.committed)
    })
}

fn log_matching(model: &Model, state: &State) -> bool {
    model.brokers().all(|one| {
        let one = state.replica(one);
        model.brokers().map(|other| state.replica(other)).all(|other| {
            let end = one.high_watermark.min(other.high_watermark);
            one.log.until(end) == other.log.until(end)
        })
    })
}

fn quorum_superset(model: &Model, state: &State) -> bool {
    let controller = &state.controller;
    let Some(leader) = controller.leader.filter(|leader| state.leads(*leader)) else { return true };
    let replica = state.replica(leader);
    let current = replica.leader_epoch == controller.leader_epoch;
    if !current || replica.lead.isr.count() < u32::from(model.bounds.min_insync_replicas) {
        return true;
    }
    controller.isr.or(controller.elr).within(replica.lead.maximal_isr())
}

fn no_global_loss(model: &Model, state: &State) -> bool {
    let lossy_enough = state.spent.rots >= model.bounds.min_insync_replicas;
    lossy_enough
        || state.committed.records().zip(0..).all(|(record, offset)| {
            model.brokers().any(|broker| state.replica(broker).disk.at(offset) == Some(record))
        })
}

fn one_leader_per_epoch(model: &Model, state: &State) -> bool {
    let leads = |broker: &Broker| state.leads(*broker);
    model.brokers().filter(leads).all(|one| {
        let epoch = state.replica(one).leader_epoch;
        model.brokers().filter(leads).all(|other| one == other || state.replica(other).leader_epoch != epoch)
    })
}

fn elr_empty_when_healthy(model: &Model, state: &State) -> bool {
    let controller = &state.controller;
    let healthy = controller.isr.count() >= u32::from(model.bounds.min_insync_replicas);
    (controller.elr.is_empty() || !healthy)
        && controller.isr.and(controller.elr).is_empty()
        && controller.isr.within(controller.unfenced)
}

fn unclean_exclusion(model: &Model, state: &State) -> bool {
    let controller = &state.controller;
    let leader = controller.leader.map_or(Brokers::NONE, |leader| Brokers::NONE.with(leader));
    let trusted = controller.isr.or(controller.elr).or(leader);
    model
        .brokers()
        .filter(|broker| trusted.has(*broker))
        .map(|broker| state.replica(broker))
        .all(|replica| replica.life == Life::Dead || replica.health == Health::Sound)
}
