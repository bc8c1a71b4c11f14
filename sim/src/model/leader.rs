//! What a broker does that takes itself for the leader: append, move the high watermark, ask for another ISR.

use super::action::Slot;
use super::broker::{Broker, Brokers};
use super::invariant::Invariant;
use super::rule::Rule;
use super::state::{Agreement, Alter, Altered, Mail, State};
use super::{Model, log::Record};

/// A leader and one of its followers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) leader: Broker,
    pub(super) follower: Broker,
}

pub(super) fn produce(model: &Model, state: &mut State, leader: Broker) -> Option<()> {
    let gate = state.leads(leader) && enough_in_sync(model, state, leader);
    if !gate || state.spent.records == model.bounds.records {
        return None;
    }
    state.spent.records += 1;
    let record = Record(state.spent.records);
    let replica = state.replica_mut(leader);
    replica.log.push(record);
    let epoch = replica.leader_epoch;
    state.epochs[usize::from(record.0) - 1] = epoch;
    Some(())
}

/// R1 and R2: only while the ISR that the controller is known to have granted is large enough.
fn enough_in_sync(model: &Model, state: &State, leader: Broker) -> bool {
    let lead = &state.replica(leader).lead;
    let counted = if model.breaks(Rule::MinIsrOfMaximal) { lead.maximal_isr() } else { lead.isr };
    model.breaks(Rule::NoMinIsr) || counted.count() >= u32::from(model.bounds.min_insync_replicas)
}

/// R2 and R3. The high watermark jumps as far as it can.
pub(super) fn advance(model: &Model, state: &mut State, leader: Broker) -> Option<Result<(), Invariant>> {
    if !state.leads(leader) || !enough_in_sync(model, state, leader) {
        return None;
    }
    let end = committable(model, state, leader)?;
    if end <= state.replica(leader).high_watermark {
        return None;
    }
    state.replica_mut(leader).high_watermark = end;
    let log = state.replica(leader).log.until(end);
    if !log.begins_with(state.committed.until(end)) {
        return Some(Err(Invariant::HwMonotone));
    }
    if end > state.committed.end() {
        state.committed = log;
    }
    let durable = acked_is_durable(model, state, leader);
    Some(if durable { Ok(()) } else { Err(Invariant::AckedDurable) })
}

fn committable(model: &Model, state: &State, leader: Broker) -> Option<u8> {
    let replica = state.replica(leader);
    let isr =
        if model.breaks(Rule::CommittedIsrOnly) { replica.lead.isr } else { replica.lead.maximal_isr() };
    let followers = || isr.without(leader).each();
    if model.breaks(Rule::CommitInMemory) {
        return followers()
            .map(|follower| seen_end(state, Pair { leader, follower }))
            .fold(Some(replica.log.end()), least);
    }
    if model.breaks(Rule::DurableOnMinIsr) {
        let seen = followers().map(|follower| seen_end(state, Pair { leader, follower }));
        let everywhere = seen.fold(Some(replica.log.end()), least)?;
        let mut durable: Vec<u8> =
            followers().filter_map(|follower| replica.lead.reported_end(follower)).collect();
        durable.push(replica.durable_end);
        durable.sort_unstable_by(|a, b| b.cmp(a));
        let needed = usize::from(model.bounds.min_insync_replicas);
        return durable.get(needed - 1).map(|end| everywhere.min(*end));
    }
    let own = if model.breaks(Rule::LeaderNotDurable) { replica.log.end() } else { replica.durable_end };
    followers().map(|follower| replica.lead.reported_end(follower)).fold(Some(own), least)
}

fn least(one: Option<u8>, other: Option<u8>) -> Option<u8> {
    Some(one?.min(other?))
}

/// Where a follower's log ends for all that its leader can have seen of it, durable or not.
fn seen_end(state: &State, pair: Pair) -> Option<u8> {
    let follower = state.replica(pair.follower);
    let fetches =
        state.leader_of(pair.follower) == Some(pair.leader) && follower.agreement == Agreement::Proven;
    if fetches {
        Some(follower.log.end())
    } else {
        state.replica(pair.leader).lead.reported_end(pair.follower)
    }
}

/// The predicate of the moment of an answer: it looks into the members instead of trusting what they reported.
fn acked_is_durable(model: &Model, state: &State, leader: Broker) -> bool {
    if state.spent.rots > 0 {
        return true;
    }
    let replica = state.replica(leader);
    let acked = replica.log.until(replica.high_watermark);
    let members = replica.lead.maximal_isr();
    members.count() >= u32::from(model.bounds.min_insync_replicas)
        && members.each().all(|member| state.replica(member).disk.begins_with(acked))
}

/// R5 as far as the leader can tell; the controller has the last word.
pub(super) fn expand(model: &Model, state: &mut State, pair: Pair) -> Option<()> {
    let replica = state.replica(pair.leader);
    let lead = &replica.lead;
    if !may_ask(state, pair.leader) || lead.isr.has(pair.follower) {
        return None;
    }
    let end = if model.breaks(Rule::ExpandOnLogEnd) {
        seen_end(state, pair)?
    } else {
        lead.reported_end(pair.follower)?
    };
    let epoch_start = if model.breaks(Rule::NoEpochStart) { 0 } else { lead.epoch_start };
    if end < replica.high_watermark || end < epoch_start {
        return None;
    }
    let stale = lead.reported_stale.and(Brokers::NONE.with(pair.follower));
    ask(model, state, Ask { leader: pair.leader, isr: lead.isr.with(pair.follower), stale })
}

/// R7, for any reason: lag is a matter of time, which the model does not have.
pub(super) fn shrink(model: &Model, state: &mut State, pair: Pair) -> Option<()> {
    let isr = state.replica(pair.leader).lead.isr;
    if !may_ask(state, pair.leader) || !isr.has(pair.follower) {
        return None;
    }
    ask(model, state, Ask { leader: pair.leader, isr: isr.without(pair.follower), stale: Brokers::NONE })
}

/// R6: one question at a time.
fn may_ask(state: &State, leader: Broker) -> bool {
    state.leads(leader) && state.replica(leader).lead.pending.is_empty()
}

struct Ask {
    leader: Broker,
    isr: Brokers,
    stale: Brokers,
}

fn ask(model: &Model, state: &mut State, ask: Ask) -> Option<()> {
    let lead = &mut state.replica_mut(ask.leader).lead;
    lead.pending = ask.isr;
    lead.pending_stale = ask.stale;
    send(model, state, &ask)
}

/// The same question once more, because the first copy or its answer may be lost. The broker epochs in it are those of the
/// first copy: they say which incarnation was found fit.
pub(super) fn repeat(model: &Model, state: &mut State, leader: Broker) -> Option<()> {
    let lead = &state.replica(leader).lead;
    if lead.pending.is_empty() {
        return None;
    }
    let refreshed = model.breaks(Rule::RepeatWithNewBrokerEpochs);
    let stale = if refreshed { lead.reported_stale.and(lead.pending) } else { lead.pending_stale };
    send(model, state, &Ask { leader, isr: lead.pending, stale })
}

/// Asks for what is, at the same partition epoch: once granted, no copy of the first question can be granted any more.
pub(super) fn retract(model: &Model, state: &mut State, leader: Broker) -> Option<()> {
    let lead = &state.replica(leader).lead;
    if lead.pending.within(lead.isr) {
        return None;
    }
    send(model, state, &Ask { leader, isr: lead.isr, stale: Brokers::NONE })
}

fn send(model: &Model, state: &mut State, ask: &Ask) -> Option<()> {
    if !state.leads(ask.leader) || state.spent.alters == model.bounds.alters {
        return None;
    }
    let replica = state.replica(ask.leader);
    let mail = Mail::Alter(Alter {
        from: ask.leader,
        leader_epoch: replica.leader_epoch,
        partition_epoch: replica.lead.partition_epoch,
        isr: ask.isr,
        stale: ask.stale,
    });
    state.spent.alters += 1;
    state.post(mail).then_some(())
}

impl Model {
    pub(super) fn deliver(&self, state: &mut State, slot: Slot) -> Option<()> {
        let mail = state.mail[slot.0].take()?;
        match mail {
            Mail::Alter(alter) => {
                state.mail[slot.0] = super::controller::alter(self, state, alter);
            }
            Mail::Altered(altered) => on_altered(state, altered),
            Mail::Refused(refused) => {
                state.replica_mut(refused.to).lead.pending = Brokers::NONE;
            }
        }
        Some(())
    }

    /// Takes messages away that nobody would act on, so that states differ only in what can matter.
    pub(super) fn forget_dead_mail(&self, state: &mut State) {
        for slot in 0..state.mail.len() {
            let matters = state.mail[slot].is_none_or(|mail| match mail {
                Mail::Alter(alter) => super::controller::heeds(self, state, &alter),
                Mail::Altered(altered) => heeds_altered(self, state, &altered),
                Mail::Refused(refused) => {
                    let lead = &state.replica(refused.to).lead;
                    listens(state, &refused)
                        && refused.partition_epoch == lead.partition_epoch
                        && lead.pending == refused.isr
                }
            });
            if !matters {
                state.mail[slot] = None;
            }
        }
    }
}

fn listens(state: &State, answer: &Altered) -> bool {
    state.leads(answer.to) && state.replica(answer.to).leader_epoch == answer.leader_epoch
}

/// R6: the newest partition epoch wins, be it an answer's or the metadata log's.
fn heeds_altered(model: &Model, state: &State, altered: &Altered) -> bool {
    let lead = &state.replica(altered.to).lead;
    let newer = altered.partition_epoch > lead.partition_epoch;
    listens(state, altered) && (newer || model.breaks(Rule::LateAnswerWins))
}

fn on_altered(state: &mut State, altered: Altered) {
    let lead = &mut state.replica_mut(altered.to).lead;
    lead.isr = altered.isr;
    lead.partition_epoch = altered.partition_epoch;
    lead.pending = Brokers::NONE;
    lead.pending_stale = Brokers::NONE;
}
