//! What the controller decides: who is in the ISR and the ELR, and who leads.

use super::Model;
use super::broker::{Broker, Brokers};
use super::rule::Rule;
use super::state::{Alter, Altered, Health, Mail, State};

/// Whether the controller would look at this request at all.
pub(super) fn heeds(model: &Model, state: &State, alter: &Alter) -> bool {
    let controller = &state.controller;
    controller.leader == Some(alter.from)
        && controller.leader_epoch == alter.leader_epoch
        && (controller.partition_epoch == alter.partition_epoch || model.breaks(Rule::OldPartitionEpoch))
}

/// Grants a request or refuses it. A refusal is worth telling only to a leader that would act on it.
pub(super) fn alter(model: &Model, state: &mut State, alter: Alter) -> Option<Mail> {
    let answer = Altered {
        to: alter.from,
        leader_epoch: alter.leader_epoch,
        partition_epoch: alter.partition_epoch,
        isr: alter.isr,
    };
    if !eligible(model, state, &alter) {
        return model.breaks(Rule::RefusalForgets).then_some(Mail::Refused(answer));
    }
    for member in alter.isr.minus(state.controller.isr).each() {
        // R5: whoever joins has proven what it has. A dead one has yet to tell what its death took.
        if state.runs(member) {
            state.replica_mut(member).health = Health::Sound;
        }
        state.controller.last_known_elr = state.controller.last_known_elr.without(member);
    }
    change_isr(model, state, alter.isr);
    Some(Mail::Altered(Altered { partition_epoch: state.controller.partition_epoch, ..answer }))
}

/// R5: those who join are unfenced, and still who they were when the leader found them fit.
fn eligible(model: &Model, state: &State, alter: &Alter) -> bool {
    let controller = &state.controller;
    let joining = alter.isr.minus(controller.isr);
    let unfenced = model.breaks(Rule::FencedMayJoin) || joining.within(controller.unfenced);
    let same = model.breaks(Rule::NoBrokerEpoch) || joining.and(alter.stale).is_empty();
    alter.isr.has(alter.from) && unfenced && same
}

/// R7: while the ISR is too small, those who leave it remain eligible.
fn change_isr(model: &Model, state: &mut State, isr: Brokers) {
    let controller = &mut state.controller;
    let left = controller.isr.minus(isr);
    controller.isr = isr;
    controller.partition_epoch = controller.partition_epoch.next();
    if isr.count() >= u32::from(model.bounds.min_insync_replicas) {
        controller.elr = Brokers::NONE;
        controller.last_known_elr = Brokers::NONE;
    } else {
        controller.elr = controller.elr.or(left).minus(isr);
    }
}

pub(super) fn fence(model: &Model, state: &mut State, broker: Broker) -> Option<()> {
    if !state.controller.unfenced.has(broker) {
        return None;
    }
    if state.runs(broker) {
        if state.spent.fences == model.bounds.fences {
            return None;
        }
        state.spent.fences += 1;
    }
    let controller = &mut state.controller;
    controller.unfenced = controller.unfenced.without(broker);
    if controller.leader == Some(broker) {
        controller.leader = None;
    }
    if controller.isr.has(broker) {
        let isr = controller.isr.without(broker);
        change_isr(model, state, isr);
    }
    Some(())
}

pub(super) fn unfence(state: &mut State, broker: Broker) -> Option<()> {
    if !state.runs(broker) || state.controller.unfenced.has(broker) {
        return None;
    }
    state.controller.unfenced = state.controller.unfenced.with(broker);
    Some(())
}

/// R8, and R12 where nobody is left who surely has everything.
pub(super) fn elect(model: &Model, state: &mut State, broker: Broker) -> Option<()> {
    let controller = &state.controller;
    if controller.leader.is_some() || !controller.unfenced.has(broker) {
        return None;
    }
    let clean = controller.isr.has(broker) || controller.isr.is_empty() && controller.elr.has(broker);
    if clean || model.breaks(Rule::UncleanElection) && controller.isr.is_empty() {
        lead(model, state, broker);
        return Some(());
    }
    if !controller.isr.or(controller.elr).is_empty() || !has_best_log(model, state, broker) {
        return None;
    }
    // The others stay known until the ISR is large enough again: the new leader may be the next to lose something.
    let others =
        if model.breaks(Rule::RecoveryForgetsOthers) { Brokers::NONE } else { controller.last_known_elr };
    state.controller.last_known_elr = others.without(broker);
    state.replica_mut(broker).health = Health::Sound;
    lead(model, state, broker);
    Some(())
}

/// R12: all who may have the last committed record can be asked, and none has more on its disk than this one. What is in
/// memory does not count: who would lead by that could forget what others still have.
fn has_best_log(model: &Model, state: &State, broker: Broker) -> bool {
    let controller = &state.controller;
    let asked = controller.last_known_elr;
    let present = asked.each().filter(|member| controller.unfenced.has(*member) && state.runs(*member));
    let rank = |member: Broker| {
        let replica = state.replica(member);
        let durable = replica.log.until(replica.durable_end);
        let log = if model.breaks(Rule::RecoverByLogEnd) { replica.log } else { durable };
        (state.last_epoch(log), log.end())
    };
    if model.breaks(Rule::RecoverWithoutAll) {
        return asked.has(broker) && present.map(rank).max() == Some(rank(broker));
    }
    let all = present.count() == asked.each().count();
    asked.has(broker) && all && asked.each().all(|member| rank(member) <= rank(broker))
}

fn lead(model: &Model, state: &mut State, broker: Broker) {
    let controller = &mut state.controller;
    controller.leader = Some(broker);
    controller.isr = controller.isr.with(broker);
    controller.elr = controller.elr.without(broker);
    if !model.breaks(Rule::ElectionKeepsEpoch) {
        controller.leader_epoch = controller.leader_epoch.next();
    }
    controller.partition_epoch = controller.partition_epoch.next();
}

pub(super) fn transfer(model: &Model, state: &mut State, broker: Broker) -> Option<()> {
    let controller = &state.controller;
    let leader = controller.leader?;
    if leader == broker || !controller.isr.has(broker) || state.spent.moves == model.bounds.moves {
        return None;
    }
    state.spent.moves += 1;
    lead(model, state, broker);
    Some(())
}
