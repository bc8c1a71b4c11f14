//! What a broker learns from the controller and fetches from its leader.

use super::Model;
use super::broker::{Broker, Brokers};
use super::invariant::Invariant;
use super::rule::Rule;
use super::state::{Agreement, Lead, Replica, State};

pub(super) fn learn(model: &Model, state: &mut State, broker: Broker) -> Option<Result<(), Invariant>> {
    let leader = state.controller.leader?;
    let known = state.replica(broker);
    if !state.runs(broker) {
        return None;
    }
    if known.leader_epoch < state.controller.leader_epoch || known.leader != Some(leader) {
        return Some(begin_epoch(model, state, broker));
    }
    if known.leader == Some(broker) && known.lead.partition_epoch < state.controller.partition_epoch {
        let lead = &mut state.replicas[broker.index()].lead;
        lead.isr = state.controller.isr;
        lead.partition_epoch = state.controller.partition_epoch;
        lead.pending = Brokers::NONE;
        lead.pending_stale = Brokers::NONE;
        return Some(Ok(()));
    }
    None
}

fn begin_epoch(model: &Model, state: &mut State, broker: Broker) -> Result<(), Invariant> {
    let controller = state.controller;
    let replica = state.replica_mut(broker);
    replica.leader = controller.leader;
    replica.leader_epoch = controller.leader_epoch;
    replica.agreement = Agreement::Unknown;
    let old = std::mem::take(&mut replica.lead);
    if model.breaks(Rule::OldReports) {
        replica.lead.reported = old.reported;
        replica.lead.reported_stale = old.reported_stale;
    }
    let leads = controller.leader == Some(broker);
    if model.breaks(Rule::TruncateToHighWatermark) && !leads {
        truncate(replica, replica.high_watermark)?;
    }
    if leads {
        replica.lead = Lead {
            isr: controller.isr,
            partition_epoch: controller.partition_epoch,
            epoch_start: replica.log.end(),
            ..replica.lead
        };
    }
    Ok(())
}

/// R9. A truncation below the own high watermark is never silent.
fn truncate(replica: &mut Replica, end: u8) -> Result<(), Invariant> {
    replica.log = replica.log.until(end);
    replica.durable_end = replica.durable_end.min(end);
    let known = replica.high_watermark;
    replica.high_watermark = known.min(end);
    if end < known { Err(Invariant::NoTruncateBelowHw) } else { Ok(()) }
}

pub(super) fn fetch(model: &Model, state: &mut State, follower: Broker) -> Option<Result<(), Invariant>> {
    let leader = state.leader_of(follower)?;
    let (before, leader) = (*state.replica(follower), *state.replica(leader));
    let parts = diverging_end(state, &Logs { follower: &before, leader: &leader });
    if let Some(end) = parts.filter(|_| !model.breaks(Rule::NoDivergenceCheck)) {
        return Some(truncate(state.replica_mut(follower), end));
    }
    let replica = state.replica_mut(follower);
    replica.agreement = Agreement::Proven;
    if let Some(record) = leader.log.at(replica.log.end()) {
        replica.log.push(record);
    }
    replica.high_watermark = replica.high_watermark.max(leader.high_watermark.min(replica.log.end()));
    (*replica != before).then_some(Ok(()))
}

struct Logs<'a> {
    follower: &'a Replica,
    leader: &'a Replica,
}

/// Where the follower must truncate, because the leader's records of the follower's last epoch end before or never were.
fn diverging_end(state: &State, logs: &Logs<'_>) -> Option<u8> {
    let (own, leaders) = (logs.follower.log, logs.leader.log);
    let last_fetched_epoch = state.last_epoch(own);
    let end = state.end_of_epoch(leaders, last_fetched_epoch);
    let epoch = state.last_epoch(leaders.until(end));
    if epoch == last_fetched_epoch && own.end() <= end {
        return None;
    }
    Some(end.min(state.end_of_epoch(own, epoch)))
}

/// The durable end travels apart from fetches. It may be told only once the logs are proven to agree in this epoch: before,
/// it would count records that the leader does not have.
pub(super) fn report(model: &Model, state: &mut State, follower: Broker) -> Option<()> {
    let leader = state.leader_of(follower)?;
    let replica = state.replica(follower);
    if replica.agreement == Agreement::Unknown && !model.breaks(Rule::ReportBeforeAgreement) {
        return None;
    }
    let told = replica.durable_end + 1;
    let lead = &mut state.replica_mut(leader).lead;
    if lead.reported[follower.index()] == told && !lead.reported_stale.has(follower) {
        return None;
    }
    lead.reported[follower.index()] = told;
    lead.reported_stale = lead.reported_stale.without(follower);
    Some(())
}
