//! The rules hold in models small enough for every build, and the model notices when one is broken.

use highwater_core::prng::Prng;

use super::action::Action;
use super::broker::{Broker, Brokers};
use super::key::key;
use super::rule::Rule;
use super::search::{End, search};
use super::state::{Mail, State};
use super::walk::{Walks, walk};
use super::{Bounds, Doubt, Invariant, Model, REPLICAS_MAX};

const SMALL: Bounds = Bounds {
    replicas: 3,
    min_insync_replicas: 2,
    records: 1,
    crashes: 0,
    fences: 1,
    alters: 1,
    moves: 0,
    rots: 0,
    doubt: Doubt::Never,
};

fn check_exhausted(bounds: Bounds, states: usize) {
    let found = search(&Model { rule: None, bounds }, usize::MAX);
    assert_eq!((found.end, found.states), (End::Exhausted, states));
}

#[test]
fn rules_hold_with_three_replicas() {
    check_exhausted(SMALL, 21_837);
}

#[test]
fn rules_hold_with_two_replicas_and_a_crash_that_takes_all() {
    let bounds = Bounds { replicas: 2, crashes: 1, rots: 1, doubt: Doubt::Possible, ..SMALL };
    check_exhausted(bounds, 28_215);
}

#[test]
fn rules_hold_when_one_replica_is_enough() {
    check_exhausted(Bounds { replicas: 2, min_insync_replicas: 1, crashes: 1, ..SMALL }, 12_013);
}

fn check_refuted(rule: Rule, invariant: Invariant, steps: usize) {
    let found = search(&Model { rule: Some(rule), bounds: rule.bounds() }, usize::MAX);
    let End::Broken(story) = found.end else { panic!("{rule} went unnoticed in {} states", found.states) };
    assert_eq!((story.broken, story.lines.len()), (invariant, steps), "{story}");
}

#[test]
fn commit_rules_are_needed() {
    check_refuted(Rule::LeaderNotDurable, Invariant::AckedDurable, 5);
    check_refuted(Rule::CommitInMemory, Invariant::AckedDurable, 3);
    check_refuted(Rule::DurableOnMinIsr, Invariant::AckedDurable, 7);
    check_refuted(Rule::CommittedIsrOnly, Invariant::AckedDurable, 11);
    check_refuted(Rule::NoMinIsr, Invariant::AckedDurable, 7);
}

#[test]
fn isr_rules_are_needed() {
    check_refuted(Rule::ExpandOnLogEnd, Invariant::CandidateCompleteness, 12);
    check_refuted(Rule::OldPartitionEpoch, Invariant::QuorumSuperset, 5);
    check_refuted(Rule::LateAnswerWins, Invariant::QuorumSuperset, 8);
    check_refuted(Rule::RefusalForgets, Invariant::QuorumSuperset, 10);
    check_refuted(Rule::FencedMayJoin, Invariant::ElrEmptyWhenHealthy, 6);
}

#[test]
fn eligibility_rules_are_needed() {
    check_refuted(Rule::RegisterUnfenced, Invariant::UncleanExclusion, 4);
    check_refuted(Rule::SuspectStaysEligible, Invariant::UncleanExclusion, 5);
    check_refuted(Rule::RotIsNotTold, Invariant::CandidateCompleteness, 9);
    check_refuted(Rule::RecoverWithoutAll, Invariant::LeaderCompleteness, 14);
    check_refuted(Rule::RecoverByLogEnd, Invariant::CandidateCompleteness, 17);
    check_refuted(Rule::RecoveryForgetsOthers, Invariant::LeaderCompleteness, 20);
}

#[test]
fn epoch_rules_are_needed() {
    check_refuted(Rule::ElectionKeepsEpoch, Invariant::OneLeaderPerEpoch, 3);
    check_refuted(Rule::TruncateToHighWatermark, Invariant::CandidateCompleteness, 12);
}

#[test]
fn walk_finds_what_the_search_finds() {
    let model = Model { rule: Some(Rule::ExpandOnLogEnd), bounds: SMALL };
    let walked = walk(&model, Walks { count: 20_000, steps: 100, seed: 1 });
    let story = walked.story.expect("it is not rare");
    assert_eq!((story.broken, story.lines.len()), (Invariant::CandidateCompleteness, 12), "{story}");
}

#[test]
fn walk_finds_nothing_while_the_rules_hold() {
    let walked = walk(&Model { rule: None, bounds: Bounds::WIDE }, Walks { count: 200, steps: 200, seed: 1 });
    assert_eq!(walked.story, None);
    assert!(walked.steps > 5_000, "only {} steps", walked.steps);
}

#[test]
fn story_tells_each_step() {
    let model = Model { rule: Some(Rule::CommitInMemory), bounds: Rule::CommitInMemory.bounds() };
    let End::Broken(story) = search(&model, usize::MAX).end else { panic!("it must be noticed") };
    let story = story.to_string();
    let sentences: Vec<&str> = story.lines().step_by(2).collect();
    assert_eq!(
        sentences,
        [
            "  1. leader 0 appends record a in epoch 1",
            "  2. follower 1 fetches record a from 0",
            "  3. leader 0 commits and answers up to 1, waiting for {0,1}",
            "     AckedDurable does not hold: an answered record is not durable on all members of the maximal ISR, \
             or on too few",
        ]
    );
}

/// The same state with other names for its brokers.
fn renamed(state: &State, names: &[Broker; REPLICAS_MAX as usize]) -> State {
    let one = |broker: Broker| names[broker.index()];
    let set = |brokers: Brokers| brokers.each().map(one).fold(Brokers::NONE, Brokers::with);
    let mut new = *state;
    for broker in (0..REPLICAS_MAX).map(Broker) {
        let mut replica = *state.replica(broker);
        replica.leader = replica.leader.map(one);
        for follower in (0..REPLICAS_MAX).map(Broker) {
            let reported = state.replica(broker).lead.reported[follower.index()];
            replica.lead.reported[one(follower).index()] = reported;
        }
        let lead = &mut replica.lead;
        for brokers in [&mut lead.isr, &mut lead.pending, &mut lead.pending_stale, &mut lead.reported_stale] {
            *brokers = set(*brokers);
        }
        *new.replica_mut(one(broker)) = replica;
    }
    let controller = &mut new.controller;
    controller.leader = controller.leader.map(one);
    for brokers in
        [&mut controller.isr, &mut controller.elr, &mut controller.last_known_elr, &mut controller.unfenced]
    {
        *brokers = set(*brokers);
    }
    for mail in new.mail.iter_mut().flatten() {
        match mail {
            Mail::Alter(alter) => {
                (alter.from, alter.isr, alter.stale) = (one(alter.from), set(alter.isr), set(alter.stale));
            }
            Mail::Altered(answer) | Mail::Refused(answer) => {
                (answer.to, answer.isr) = (one(answer.to), set(answer.isr));
            }
        }
    }
    new.mail.reverse();
    new
}

/// States along random ways.
fn some_states(bounds: &Bounds) -> Vec<State> {
    let model = Model { rule: None, bounds: *bounds };
    let actions = Action::all(bounds);
    let mut states = Vec::new();
    for seed in 0..40 {
        let mut prng = Prng::new(seed);
        let mut state = State::first(bounds);
        for _ in 0..2_000 {
            let at = usize::try_from(prng.below(u64::try_from(actions.len()).unwrap())).unwrap();
            if let Some(step) = model.step(&state, actions[at]) {
                state = step.state;
                states.push(state);
            }
        }
    }
    states
}

#[test]
fn key_is_blind_to_names() {
    let bounds = Bounds::WIDE;
    let orders = [[1, 2, 3, 0], [0, 2, 1, 3], [3, 2, 1, 0]].map(|order| order.map(Broker));
    let states = some_states(&bounds);
    assert!(states.len() > 1_000);
    for state in &states {
        for names in &orders {
            assert_eq!(key(&bounds, &renamed(state, names)), key(&bounds, state));
        }
    }
}

#[test]
fn key_tells_states_apart() {
    let bounds = Bounds::WIDE;
    for state in some_states(&bounds) {
        let known = key(&bounds, &state);
        let mut other = state;
        other.replicas[1].high_watermark ^= 1;
        assert_ne!(key(&bounds, &other), known);
        let mut other = state;
        other.replicas[2].lead.reported[1] ^= 1;
        assert_ne!(key(&bounds, &other), known);
        let mut other = state;
        let elr = state.controller.elr;
        other.controller.elr = if elr.has(Broker(3)) { elr.without(Broker(3)) } else { elr.with(Broker(3)) };
        assert_ne!(key(&bounds, &other), known);
        let mut other = state;
        other.mail = [None; 3];
        assert!(other.mail == state.mail || key(&bounds, &other) != known);
    }
}
